"""Every error and warning of the layers has its text pinned."""

import ast
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import carrousel
from carrousel.nn import layers
from carrousel.nn.sequence import Call
from nn.messages import MESSAGES
from nn.wrong_calls import WRONG_CALLS


@pytest.mark.parametrize(("error", "text", "call"), MESSAGES)
def test_message(error: type[Exception], text: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert type(caught.value) is error


FOLDER = Path(layers.__file__).parent


def test_every_error_has_its_message_here() -> None:
    """Each `raise` in the folder is the one that some case above ends with."""
    reached = set()
    for error, _, call in (*MESSAGES, *WRONG_CALLS):
        with pytest.raises(error) as caught:
            call()
        last = traceback.extract_tb(caught.value.__traceback__)[-1]
        reached.add((Path(last.filename).name, last.lineno))
    missed = []
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                missed += [] if any((path.name, n) in reached for n in lines) else [f"{path.name}:{node.lineno}"]
    assert missed == []


# ---------------------------------------------------------------------- warnings


def test_dropout_of_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match=r"^Recurrent: dropout=0.5 works between layers, but num_layers=1$") as warned:
        carrousel.Recurrent("lstm", 3, 4, dropout=0.5)
    assert len(warned) == 1


def test_a_layer_on_a_gpu_without_a_kernel_warns_once() -> None:
    class OnGPU(carrousel.Recurrent):
        """A name of its own: what another test warned of does not count."""

    text = r"^OnGPU: the cell gru_2014 on a GPU runs step by step \(backend 'eager'\)$"
    with FakeTensorMode():  # its tensors have a device and no values
        call = Call(torch.empty(2, 2, 3, device="cuda"), (), ())
    layer = OnGPU("gru_2014", 3, 4)
    with pytest.warns(UserWarning, match=text) as warned:
        assert layer._backend_of(call, layer._layout) == "eager"
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert layer._backend_of(call, layer._layout) == "eager"
        assert (plain := carrousel.LSTM(3, 4))._backend_of(call, plain._layout) == "torch"


def test_convert_warns_of_derived_classes() -> None:
    class Mine(nn.GRU):
        """Someone's own layer."""

    with pytest.warns(UserWarning, match=r"^convert: 0 is a Mine, not torch\.nn's own: left as it is$"):
        carrousel.convert(nn.Sequential(Mine(3, 4)))
