"""The same call again on the same memory: equal to calls of their own, whatever was there before."""

import pytest
import torch

from carrousel import cells
from carrousel.backends.llvm.again import Again
from carrousel.nn.population import Population
from carrousel.transforms import looked_up

TIME, BATCH, INPUTS, HIDDEN = 7, 3, 2, 4


@pytest.mark.parametrize("nets", [1, 8, 10, 17])
@pytest.mark.parametrize("name", ["lstm_1997_full", "lstm_1997_truncated", "gru", "slstm"])
def test_equal_to_a_layer(name: str, nets: int) -> None:
    torch.manual_seed(nets)
    layer = Population(name, nets, INPUTS, HIDDEN, dtype=torch.float64, backend="eager")
    again = Again(
        layer.cell.definition, dict(layer.cell.initial), (TIME, nets, BATCH, INPUTS, HIDDEN), True, torch.float64
    )
    lanes = again.x.shape[-1]
    groups = again.x.shape[1]

    def placed(values: torch.Tensor) -> torch.Tensor:
        """(net, time, batch, size) -> (time, group, batch, size, lane)."""
        full = values.new_zeros(groups * lanes, *values.shape[1:])
        full[:nets] = values
        return full.unflatten(0, (groups, lanes)).permute(2, 0, 3, 4, 1)

    stacks = dict(zip(again.parameters, layer.parameters(), strict=True))
    for _ in range(2):  # the second call finds what the first one left
        x = torch.randn(nets, TIME, BATCH, INPUTS, dtype=torch.float64)
        adjoint = torch.randn(nets, TIME, BATCH, HIDDEN, dtype=torch.float64)
        layer.zero_grad()
        output, _ = layer(x)
        output.backward(adjoint)
        again.x.copy_(placed(x))
        for group, parameter in stacks.items():
            again.parameters[group].copy_(parameter.detach())
        again.forward()
        again.adjoint.copy_(placed(adjoint))
        again.backward()
        torch.testing.assert_close(again.output.permute(1, 4, 0, 2, 3).flatten(0, 1)[:nets], output.detach())
        for group, parameter in stacks.items():
            torch.testing.assert_close(again.gradients[group], parameter.grad)


def test_inputs_per_step_and_their_gradients() -> None:
    cell = cells.get("lstm_1997")
    looked = looked_up(cell)
    nets, hidden = 5, 3
    torch.manual_seed(0)
    again = Again(looked.definition, dict(looked.initial), (TIME, nets, 1, 0, hidden), True, torch.float64)
    for parameter in again.parameters.values():
        parameter.normal_()
    again.steps.normal_()
    again.forward()
    again.adjoint.normal_()
    again.backward()
    layer = Population(looked, nets, 1, hidden, dtype=torch.float64, backend="eager")
    with torch.no_grad():
        for parameter, given in zip(layer.parameters(), again.parameters.values(), strict=True):
            parameter.copy_(given)

    def plain(values: torch.Tensor) -> torch.Tensor:
        """(time, group, batch, hidden, lane) -> (net, time, batch, hidden)."""
        return values.permute(1, 4, 0, 2, 3).flatten(0, 1)[:nets]

    steps = {
        name: plain(again.steps[:, :, :, k]).clone().requires_grad_()
        for k, name in enumerate(looked.definition.step_inputs)
    }
    output, _ = layer(torch.zeros(nets, TIME, 1, 1, dtype=torch.float64), step_inputs=steps)
    output.backward(plain(again.adjoint))
    torch.testing.assert_close(plain(again.output), output.detach())
    for got, step in zip(again.step_gradients, steps.values(), strict=True):
        torch.testing.assert_close(plain(got), step.grad)
