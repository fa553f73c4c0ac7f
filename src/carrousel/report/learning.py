"""How something was learned: its loss over the seconds of training."""

from collections.abc import Sequence

import numpy as np

from carrousel.report.figures import COLOURS, GREY, canvas, legend, picture
from carrousel.report.page import Picture

__all__ = ["learning_curve"]


def learning_curve(
    curve: Sequence[tuple[float, float, float]],
    unit: str,
    held_out: str,
    caption: str,
    *,
    level: tuple[str, float] | None = None,
    from_zero: bool = False,
) -> Picture:
    """Draw the losses in training and on what was held out.

    Args:
        curve: for each epoch the seconds since training began, and mean loss in training and on what was held out.
        unit: of the losses.
        held_out: what the second loss is called.
        caption: what is seen.
        level: name and loss of something to compare with; without it the epoch is marked whose weights were kept.
        from_zero: whether the axis of losses begins at 0.

    Example:
        >>> learning_curve([(1.0, 0.7, 0.6)], "loss, nats", "held out", "Each point is an epoch.").title
        'Learning curve'
    """
    drawing, (axes,) = canvas([2.6])
    seconds, train, validation = zip(*curve, strict=True)
    axes.plot(seconds, train, "-", marker=".", color=COLOURS[1], lw=2, label="training")
    axes.plot(seconds, validation, "-", marker=".", color=COLOURS[0], lw=2, label=held_out)
    if level is None:
        axes.axvline(seconds[int(np.argmin(validation))], color=GREY, lw=1.2, ls="--", label="kept")
    else:
        axes.axhline(level[1], color=GREY, lw=1.2, ls="--", label=level[0])
    axes.set_xlim(left=0)
    if from_zero:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(unit)
    legend(axes, columns=3)
    return picture(drawing, "Learning curve", caption)
