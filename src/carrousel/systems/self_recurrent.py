"""Units that see their own last activation only, over whole sequences, and how they correlate with an error."""

import torch
from torch import Tensor

from carrousel.systems.net import slope

__all__ = ["correlation", "run"]


def run(sources: Tensor, weight: Tensor, own: Tensor, kept: Tensor | None = None) -> Tensor:
    """Compute units V(t) = f(sum_i w_i I_i(t) + w_s V(t-1)).

    Args:
        sources: I.
        weight: w.
        own: w_s.
        kept: 0 where V(t-1) is zero because a sequence begins; None where none does.

    Returns:
        V.

    Shapes:
        - sources: (net, time, batch, source); weight: (net, source, unit); own: (net, unit)
        - kept: (net, time, batch, 1)
        - result: (net, time, batch, unit)

    Source:
        Fahlman (1991), The recurrent cascade-correlation architecture.
    """
    values: Tensor = torch.bmm(sources.flatten(1, 2), weight).unflatten(1, sources.shape[1:3])
    own = own.unsqueeze(1)
    steps = values.unbind(1)
    if steps:
        steps[0].sigmoid_()
    for t in range(1, len(steps)):
        before = steps[t - 1] if kept is None else steps[t - 1] * kept[:, t]
        steps[t].addcmul_(before, own).sigmoid_()
    return values


def correlation(
    sources: Tensor, pool: Tensor, error: Tensor, told: Tensor, kept: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute how units correlate with an error, and how that changes with their weights.

        S = sum_o |sum_p (V_p - mean V)(E_po - mean E_o)| / sum_po E_po^2

    The sum over p has the steps with a target of all sequences of a network. The denominator does not depend on the
    units: it makes rates of learning the same for all sizes of sets and errors.

    Args:
        sources: what the units see.
        pool: their weights, w_s last.
        error: E, zero where there is no target.
        told: where there is one.
        kept: as in `run`.

    Returns:
        S, and its derivative by `pool`.

    Shapes:
        - sources: (net, time, batch, source); pool and its derivative: (net, source + 1, unit)
        - error: (net, time, batch, output); told, kept: (net, time, batch, 1)
        - S: (net, unit)

    Source:
        Fahlman & Lebiere (1990), The cascade-correlation learning architecture, for S without the denominator.
    """
    own = pool[:, -1]
    values = run(sources, pool[:, :-1], own, kept)
    patterns = told.sum((1, 2), keepdim=True)
    centred = (error - error.sum((1, 2), keepdim=True) / patterns) * told
    size = error.square().sum((1, 2, 3)).clamp(min=torch.finfo(error.dtype).tiny).view(-1, 1, 1)
    # The mean of V drops out, for the centred errors sum to zero.
    covariance = torch.bmm(values.flatten(1, 2).mT, centred.flatten(1, 2)) / size
    wanted = torch.bmm(centred.flatten(1, 2), covariance.sign().mT / size).unflatten(1, sources.shape[1:3])

    before = torch.zeros_like(values)
    before[:, 1:] = values[:, :-1]
    slopes = slope(before)
    if kept is not None:
        before *= kept
        slopes *= kept
    told_units = wanted.mul_(slope(values))
    for t in range(values.shape[1] - 1, 0, -1):
        told_units[:, t - 1].addcmul_(told_units[:, t] * own.unsqueeze(1), slopes[:, t])
    by_sources = torch.bmm(sources.flatten(1, 2).mT, told_units.flatten(1, 2))
    by_own = (told_units * before).sum((1, 2)).unsqueeze(1)
    return covariance.abs().sum(-1), torch.cat([by_sources, by_own], 1)
