"""Quickprop: every weight jumps to the bottom of the parabola through its last two slopes."""

import torch
from torch import Tensor

__all__ = ["quickprop"]


def quickprop(slope: Tensor, last_slope: Tensor, last_step: Tensor, *, growth: float, rate: float | Tensor) -> Tensor:
    """Compute Quickprop's steps downhill.

    With s the slope and d the last step, the step is d s / (s_last - s), but no more than `growth` times d; the same
    is taken where s has not fallen enough for the parabola to have a bottom ahead. Gradient descent, -rate s, starts a
    weight that stood still and is added as long as the slope goes on pointing the way of the last step.

    Args:
        slope: the derivatives of what is to become small.
        last_slope: those of the step before.
        last_step: the step before; zero at the beginning.
        growth: by how much a step may be larger than the last one.
        rate: of the gradient descent; a tensor is broadcast.

    Returns:
        The steps, to be added to the weights.

    Shapes:
        slope, last_slope, last_step and the result: any, the same.

    Example:
        >>> w, slope = torch.tensor([-0.5]), torch.tensor([3.0])  # of (w - 1)^2, whose slope was 4 before a step of 0.5
        >>> w + quickprop(torch.tensor([-3.0]), torch.tensor([-4.0]), torch.tensor([0.5]), growth=4.0, rate=0.0)
        tensor([1.])

    Source:
        Fahlman (1988), Faster-learning variations on back-propagation: the rule and the growth limit 1.75. The rule is
        the standard one, not compared with the report's text.
    """
    # Along the last step: positive goes on, negative turns back.
    onward, last_onward = -slope * last_step.sign(), -last_slope * last_step.sign()
    is_steep = onward >= last_onward * (growth / (1 + growth))
    factor = torch.where(is_steep, growth, onward / (last_onward - onward)).clamp(-growth, growth)
    descent = torch.where((last_step == 0) | (onward > 0), -rate * slope, 0)
    return factor * last_step + descent
