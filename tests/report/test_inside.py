"""The look inside: what is shown is what the layer did."""

import numpy as np
import pytest
import torch

from carrousel.nn.recurrent import Recurrent
from carrousel.report.inside import inside, look_inside


def layer_of(cell: str, **options) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(cell, 2, 5, **options)


@pytest.mark.parametrize(
    ("cell", "gates", "state"),
    [("lstm", ["i", "f", "o"], "c"), ("gru", ["r", "z"], "h"), ("elman", [], "h"), ("slstm", ["i", "f", "o"], "c")],
)
def test_gates_and_state_of_any_cell(cell: str, gates: list[str], state: str) -> None:
    found = look_inside(layer_of(cell), torch.randn(7, 1, 2), lambda output: output[-1].sum())
    assert (list(found.gates), found.state_name, found.state.shape) == (gates, state, (7, 5))


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}])
def test_layers_are_left_as_they_were(options: dict) -> None:
    layer = layer_of("lstm", **options)
    found = look_inside(layer, torch.randn(7, 1, 2), lambda output: output[-1].sum())
    assert found.state.shape == (7, 5)
    assert layer.batch_first == options.get("batch_first", False)
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_the_reach_is_the_gradient() -> None:
    layer, x = layer_of("lstm"), torch.randn(7, 1, 2)
    found = look_inside(layer, x, lambda output: output[3].sum())
    again = x.clone().requires_grad_()
    layer(again)[0][3].sum().backward()
    np.testing.assert_allclose(found.reach, again.grad[:, 0].norm(dim=-1), rtol=1e-6)
    assert (found.reach[4:] == 0).all()
    assert found.steps_back(1e-9) == 4
    assert found.steps_back(1.0) <= 7


def test_the_section_says_how_far_back() -> None:
    found = look_inside(layer_of("lstm"), torch.randn(7, 1, 2), lambda output: output[-1].sum())
    section = inside(found, "seven steps", text=("Before.",))
    titles = [picture.title for picture in section.pictures]
    assert titles == ["The carrousel: state c", "Gates", "How far back the error reaches"]
    said = f"Half of the gradient of its error comes from the last {found.steps_back(0.5)} of 7 steps"
    assert said in section.text[1]
    assert "data:image/png;base64" in section.pictures[0].svg
