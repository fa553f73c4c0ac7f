"""The errors of steps, streams and jagged tensors, word for word, each with a call that ends with it."""

from collections.abc import Callable

import torch

import carrousel
from carrousel import LSTM, Population, Recurrent
from carrousel.errors import (
    BackendError,
    DtypeError,
    InputShapeError,
    InputTypeError,
    OptionError,
    OptionTypeError,
)
from carrousel.nn.stream import Stream

X = torch.ones(2, 3)
STRIDED = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=torch.strided)
JAGGED = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=torch.jagged)


def lstm(**options: object) -> LSTM:
    return LSTM(3, 4, **options)


def stream(batch_size: int | None = 2) -> Stream:
    return lstm().stream(batch_size)


def hooked() -> LSTM:
    layer = lstm()
    layer.register_forward_hook(lambda *_: None)
    return layer


def moved() -> torch.Tensor:
    layer = lstm()
    walking = layer.stream(2)
    layer.double()
    return walking.step(X)


#: error, its text, what raises it
STEP_MESSAGES: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (
        BackendError,
        "LSTM.step - the layer is bidirectional: backwards, the first step needs the last one - "
        "call it with the whole sequence",
        lambda: lstm(bidirectional=True).step(X),
    ),
    (
        InputTypeError,
        "LSTM.step: x is (5, 2, 3), expected a tensor (batch, input) - "
        "a step takes one vector per row; give a sequence to the layer itself",
        lambda: lstm().step(torch.ones(5, 2, 3)),
    ),
    (
        BackendError,
        "Population.stream - a population has no streams - take one of its nets: `nets.net(k).stream()`",
        lambda: Population("lstm", 3, 3, 4).stream(2),
    ),
    (
        BackendError,
        "LSTM.stream - the layer has hooks, which a stream would not call - remove them, or use layer.step",
        lambda: hooked().stream(),
    ),
    (
        OptionError,
        "LSTM.stream - batch_size is 0, expected at least 1 - give a larger number",
        lambda: stream(0),
    ),
    (
        OptionTypeError,
        "Recurrent - recompute should be of type bool, got: int - True or False",
        lambda: Recurrent("lstm", 3, 4, recompute=1),
    ),
    (
        InputTypeError,
        "LSTM stream: x is a list, expected a tensor - use torch.as_tensor",
        lambda: stream().step([[1.0, 2.0, 3.0]]),
    ),
    (
        InputTypeError,
        "LSTM stream: x is on the device meta and has no values - pass a tensor with values",
        lambda: stream().step(X.to("meta")),
    ),
    (
        InputShapeError,
        "LSTM stream: x has shape (1, 3), expected (2, 3) = (batch, input) - a step takes one vector per row",
        lambda: stream().step(X[:1]),
    ),
    (
        DtypeError,
        "LSTM stream: x is torch.float64, the weights torch.float32 - convert it with .to()",
        lambda: stream().step(X.double()),
    ),
    (
        InputTypeError,
        "LSTM stream: x asks for gradients, a stream has none - pass x.detach(), or use layer.step",
        lambda: stream().step(X.clone().requires_grad_()),
    ),
    (
        BackendError,
        "LSTM.stream - the layer's weights are torch.float64 on cpu now, the stream was made for torch.float32 on cpu "
        "- make a new stream",
        moved,
    ),
    (
        InputShapeError,
        "LSTM stream: reset got torch.int64 of shape (1,), expected booleans of shape (2) - one for each row; "
        "leave it out to reset all",
        lambda: stream().reset([1]),
    ),
    (
        InputShapeError,
        "LSTM: a jagged tensor has its lengths inside, and lengths= no jagged form - pass a padded tensor and lengths=",
        lambda: lstm()(JAGGED, lengths=[2, 1]),
    ),
    (
        InputShapeError,
        "LSTM: got a nested tensor of layout torch.strided and 3 axes, expected (batch, time, input), jagged in time "
        "and without holes - make it with torch.nested.nested_tensor(rows, layout=torch.jagged)",
        lambda: lstm()(STRIDED),
    ),
    (
        InputShapeError,
        "Population: a jagged tensor has no net axis - pass a padded tensor and lengths=",
        lambda: carrousel.Population("lstm", 3, 3, 4)(JAGGED),
    ),
]
