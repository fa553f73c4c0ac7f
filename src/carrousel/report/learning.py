"""How something was learned: its loss over the seconds of training, and the end of every page."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carrousel.report.figures import COLOURS, GREY, canvas, legend, picture
from carrousel.report.page import Page, Picture, Section

__all__ = ["Learned", "learning_curve", "page_of"]


@dataclass(frozen=True)
class Learned:
    """What every page says of a net, whatever it does.

    Attributes:
        curve: for each epoch the seconds since training began, and mean loss in training and on what was held out.
        stopped: how long training took, and why it stopped.
        inside: what goes on in the layers over an example, of `carrousel.report.inside`.
        facts: what it was made with, name and value.
    """

    curve: Sequence[tuple[float, float, float]] = ()
    stopped: str = ""
    inside: Section | None = None
    facts: Sequence[tuple[str, str]] = ()


def page_of(
    title: str, understood: Sequence[str], sections: Sequence[Section | None], learned: Learned, drawn: Picture | None
) -> Page:
    """Return a page: its own parts, then what goes on inside and how it was learned.

    Args:
        title: its heading.
        understood: sentences on what was read.
        sections: its own parts; None is left out.
        learned: what the page ends with.
        drawn: the learning curve, None for none.

    Example:
        >>> page_of("rain", ["100 rows"], [None], Learned(stopped="3 epochs"), None).sections[0].title
        'How it was learned'
    """
    pictures = () if drawn is None else (drawn,)
    last = Section("How it was learned", (learned.stopped,) if learned.stopped else (), pictures=pictures)
    parts = tuple(part for part in (*sections, learned.inside, last) if part is not None)
    return Page(title, tuple(understood), parts, tuple(learned.facts))


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
