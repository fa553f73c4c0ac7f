"""`convert` swaps every torch.nn recurrent layer of a model for its stand-in, in place."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import carrousel
from carrousel.errors import UnknownNameError
from nn.twins import BACKENDS, LAYERS, STEPS, assert_same, everything, sequence, tensors, theirs


class Model(nn.Module):
    """Layers and single steps in nested containers, one of them in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"lstm": nn.LSTM(3, 4, 2, bidirectional=True), "gru": nn.GRU(8, 4)})
        self.rnn = nn.RNN(4, 4, nonlinearity="relu")
        self.steps = nn.ModuleList([nn.LSTMCell(4, 4), nn.GRUCell(4, 4), nn.RNNCell(4, 4, nonlinearity="relu")])
        self.again = self.rnn
        self.last = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.encoder["gru"](self.encoder["lstm"](x)[0])[0]
        x = self.again(self.rnn(x)[0])[0]
        h, _ = self.steps[0](x[-1])
        return self.last(self.steps[2](self.steps[1](h)))


X = torch.linspace(-1, 1, 30).reshape(5, 2, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_and_gradients_stay(backend: str) -> None:
    model = Model()
    expected = everything(copy.deepcopy(model), X.clone())
    assert carrousel.convert(model, backend=backend) is model
    assert_same(everything(model, X.clone()), expected, "layers in float32")
    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            assert type(module).__module__.startswith("carrousel.nn"), name
            assert module.backend == backend


@pytest.mark.parametrize("name", [*LAYERS, *STEPS])
def test_the_model_may_be_a_layer(name: str) -> None:
    layer = theirs(name, 3, 4, dtype=torch.float64)
    expected, state = everything(layer, sequence(2, 3)), copy.deepcopy(layer.state_dict())
    assert carrousel.convert(layer, backend="eager") is layer
    assert type(layer) is getattr(carrousel, name)
    assert list(layer.state_dict()) == list(state)
    assert_same(everything(layer, sequence(2, 3)), expected)
    assert next(tensors(copy.deepcopy(layer)(sequence(2, 3)))).shape == expected["result 0"].shape
    layer.reset_parameters()
    assert repr(layer).endswith("(3, 4, backend='eager')")


def test_identities_stay() -> None:
    model = Model()
    modules, parameters = list(model.modules()), list(model.parameters())
    carrousel.convert(model)
    assert all(a is b for a, b in zip(model.modules(), modules, strict=True))
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert model.again is model.rnn


def test_optimizer_hooks_and_mode_go_on_working() -> None:
    model, seen = Model().eval(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.rnn.register_forward_hook(lambda module, args, result: seen.append(type(module)))
    model.rnn.weight_hh_l0.requires_grad_(False)
    carrousel.convert(model)
    assert not model.rnn.training
    before = model(X)
    before.sum().backward()
    optimizer.step()
    assert not torch.equal(model(X), before)
    assert seen == [carrousel.RNN] * 4
    assert not model.rnn.weight_hh_l0.requires_grad


def test_a_second_time_changes_nothing() -> None:
    model = carrousel.convert(Model(), backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        carrousel.convert(model)
    assert model.rnn.backend == "eager"


def test_stand_ins_stay() -> None:
    model = nn.Sequential(carrousel.LSTM(3, 4, cell="peephole_lstm"), carrousel.Recurrent("slstm", 4, 4))
    before = list(model)
    carrousel.convert(model)
    assert [type(m) for m in model] == [carrousel.LSTM, carrousel.Recurrent]
    assert all(a is b for a, b in zip(model, before, strict=True))
    assert model[0].cell.name == "peephole_lstm"


def test_derived_classes_are_left_with_a_warning() -> None:
    class Mine(nn.LSTM):
        """Someone's own layer."""

    model = nn.ModuleDict({"mine": Mine(3, 4), "plain": nn.LSTM(3, 4)})
    with pytest.warns(UserWarning, match=r"^convert: mine is a Mine, not torch\.nn's own: left as it is$") as warned:
        carrousel.convert(model)
    assert warned[0].filename == __file__
    assert [type(m) for m in model.values()] == [Mine, carrousel.LSTM]
    with pytest.warns(UserWarning, match=r"^convert: the model is a Mine, not torch\.nn's own: left as it is$"):
        carrousel.convert(Mine(3, 4))


def test_parametrized_layers_are_swapped() -> None:
    normed = parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")
    expected = everything(copy.deepcopy(normed), X.clone())
    carrousel.convert(normed, backend="eager")
    assert isinstance(normed, carrousel.GRU)
    assert_same(everything(normed, X.clone()), expected, "layers in float32")


def test_a_named_backend_reaches_the_layers_that_are_ours_already() -> None:
    model = nn.Sequential(carrousel.LSTM(3, 4), carrousel.Recurrent("lstm", 4, 4, backend="torch"))
    carrousel.convert(model)
    assert [m.backend for m in model] == ["auto", "torch"]
    carrousel.convert(model, backend="eager")
    assert [m.backend for m in model] == ["eager", "eager"]


def test_unknown_backend_is_refused_before_anything_changes() -> None:
    model = Model()
    with pytest.raises(UnknownNameError, match=r"^convert - unknown backend 'eagre'; .* Did you mean eager"):
        carrousel.convert(model, backend="eagre")
    assert type(model.rnn) is nn.RNN
    with pytest.raises(UnknownNameError):
        carrousel.convert(nn.Linear(1, 1), backend="eagre")


def test_layers_loaded_from_old_files_are_swapped() -> None:
    """torch.nn.LSTMs pickled before version 1.8 have no proj_size; unpickling adds it."""
    layer = theirs("LSTM", 3, 4)
    state = layer.__getstate__()
    del state["proj_size"]
    old = nn.LSTM.__new__(nn.LSTM)
    old.__setstate__(state)
    carrousel.convert(old, backend="eager")
    assert_same(old(X), layer(X), "layers in float32")
