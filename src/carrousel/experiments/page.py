"""Published numbers and ours side by side: on the terminal, as JSON and CSV, and on one page with figures."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.errors import OutputError
from carrousel.experiments import cost, error_flow, solved
from carrousel.experiments.comparison import BOUND, NOTHING, Comparison, compare, name_of
from carrousel.experiments.record import Record
from carrousel.experiments.trials import Row, Table
from carrousel.report.page import Card, Page, Picture, Section, render

if TYPE_CHECKING:
    from rich.table import Table as RichTable

__all__ = ["CSV", "JSON", "PAGE", "pictures", "table_of", "write"]

JSON, CSV, PAGE = "results.json", "results.csv", "report.html"

_NO_BREAK = "\u00a0"

# ---------------------------------------------------------------------- the terminal


def table_of(table: Table, record: Record) -> "RichTable":
    """Return a table for the terminal.

    Args:
        table: its rows.
        record: the trials.

    Example:
        >>> import tempfile
        >>> from carrousel.experiments.tables import tables
        >>> print(table_of(tables()["8"], Record(Path(tempfile.mkdtemp()))).title)
        Table 8: multiplication
    """
    from rich.table import Table as RichTable
    from rich.text import Text

    rows = [compare(row, record) for row in table.rows]
    remarks = [f"{name_of(one.row)}: {' '.join(one.remarks)}" for one in rows if one.remarks]
    title, caption = f"Table {table.key}: {table.title}", "\n".join(remarks)
    found = RichTable(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    for name in ("row", "", "published", "ours", ""):
        found.add_column(name, justify="right" if name in ("published", "ours") else "left")
    for one in rows:
        for first, line in zip_longest((one.row.name, one.row.reading), one.lines, fillvalue=""):
            found.add_row(*(Text(text) for text in (first, *line)))
        found.add_section()
    return found


# ---------------------------------------------------------------------- files


def write(
    tables: Sequence[Table],
    record: Record,
    folder: Path,
    environment: Mapping[str, str],
    figures: Sequence[Picture] = (),
) -> Path:
    """Write results.json, results.csv and report.html.

    The files of numbers are written first: without matplotlib they are there, and the page is not.

    Args:
        tables: what was run.
        record: the trials.
        folder: where the files go; it is made if it does not exist.
        environment: what the numbers were made with. The commands name "size"; "trials" is how many of each row were
            asked for, where that is not what the size says.
        figures: more figures for the page, of `pictures`.

    Returns:
        The path of the page.

    Raises:
        OutputError: a file can not be written.
        MissingExtraError: matplotlib is not installed.
    """
    compared = [(table, [compare(row, record, _asked(row, environment)) for row in table.rows]) for table in tables]
    rows = [(table, one) for table, ones in compared for one in ones]
    results = {
        "environment": dict(environment),
        "rows": [_fields(table, one, environment) for table, one in rows],
    }
    _write(folder / JSON, json.dumps(_finite(results), indent=2, allow_nan=False, ensure_ascii=False) + "\n")
    _write(folder / CSV, _csv([one for _, one in rows]))
    _write(folder / PAGE, render(_page(compared, environment, figures)))
    return folder / PAGE


def _asked(row: Row, environment: Mapping[str, str]) -> int:
    """How many trials of a row there are to be."""
    return int(environment.get("trials", row.trials.get(environment.get("size", ""), 0)))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"reproduce - can not write {path}: {error.strerror} - free space there, or name another folder with --out"
        ) from error


def _command(table: Table, environment: Mapping[str, str]) -> str:
    options = [f"--{environment['size']}"] if "size" in environment else []
    options += [f"--seeds {environment['trials']}"] if "trials" in environment else []
    return " ".join(["carrousel reproduce", table.key, *options])


def _fields(table: Table, one: Comparison, environment: Mapping[str, str]) -> dict[str, Any]:
    row = one.row
    return {
        "table": table.key,
        "title": table.title,
        "row": row.name,
        "reading": row.reading,
        "settings": row.note,
        "command": _command(table, environment),
        "published": asdict(row.published),
        "ours": asdict(one.ours) if one.trials else None,
        "weights": one.weights,
        "ratio": one.ratio,
        "remarks": one.remarks,
        "cut short": one.cut_short,
        "within bounds": bool(one.trials) and not one.remarks,
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: where half of the trials failed, the median is null."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(rows: Sequence[Comparison]) -> str:
    """One line a row; columns of milestones and measures that a row does not have are empty."""
    lines = [_flat(one) for one in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for line in lines for name in line)), restval="")
    writer.writeheader()
    writer.writerows(_finite(lines))
    return file.getvalue()


def _flat(one: Comparison) -> dict[str, Any]:
    row, ours, published = one.row, one.ours, one.row.published
    line: dict[str, Any] = {
        "table": row.table,
        "row": row.name,
        "reading": row.reading,
        "trials": ours.trials,
        "solved": ours.solved,
        "success, low": ours.interval[0] if one.trials else None,
        "success, high": ours.interval[1] if one.trials else None,
        "success, published": published.success,
        "trials, published": published.trials,
        "weights": one.weights,
        "weights, published": published.weights,
        "seconds": ours.seconds if one.trials else None,
        "cut short": one.cut_short,
    }
    for name in dict.fromkeys([*published.presentations, *ours.mean]):
        parts = {"mean": ours.mean, "median": ours.median, "least": ours.least, "most": ours.most, "ratio": one.ratio}
        line[f"{name}, published"] = published.presentations.get(name)
        line |= {f"{name}, {part}": values.get(name) for part, values in parts.items()}
    for name in dict.fromkeys([*published.test, *ours.test]):
        line[f"test: {name}, published"] = published.test.get(name)
        line[f"test: {name}"] = ours.test.get(name)
    return {**line, "settings": row.note, "remarks": " ".join(one.remarks)}


# ---------------------------------------------------------------------- the page


def _page(
    compared: Sequence[tuple[Table, Sequence[Comparison]]], environment: Mapping[str, str], figures: Sequence[Picture]
) -> Page:
    sections = [_section(table, ones, environment) for table, ones in compared]
    if figures:
        sections.append(Section("Inside the nets", pictures=tuple(figures)))
    return Page(
        "The experiments of the LSTM papers, run again",
        (
            "Published numbers and ours side by side. A mean is that of the trials that reached the milestone; with ≥ "
            "it is a lower bound, for some did not. The intervals of success rates are Wilson's, 95 %.",
            f"Remarked on in words: a row whose interval does not contain the published success rate, and one whose "
            f"mean or test error is not within a factor of {BOUND:g} of the published one. A row whose trials were cut "
            "short before the published number of sequences had passed says so, and nothing about the paper.",
        ),
        (_overview(compared), *sections),
        tuple(environment.items()),
    )


def _overview(compared: Sequence[tuple[Table, Sequence[Comparison]]]) -> Section:
    lines = []
    for table, ones in compared:
        for one in ones:
            ratios = ", ".join(f"{ratio:.2f}{_NO_BREAK}x" for ratio in one.ratio.values())
            solved_trials = f"{one.ours.solved} of {one.ours.trials}".replace(" ", _NO_BREAK) if one.trials else NOTHING
            said = " ".join(one.remarks) or "Within bounds."
            lines.append((f"{table.key}: {name_of(one.row)}", solved_trials, ratios or NOTHING, said))
    columns = ("table: row, reading", "solved", "sequences, ours / published", "")
    return Section("All rows", cards=(Card("", columns, tuple(lines), is_wide=True),))


def _section(table: Table, ones: Sequence[Comparison], environment: Mapping[str, str]) -> Section:
    cards = tuple(
        Card(
            name_of(one.row),
            ("", "published", "ours", ""),
            tuple(one.lines),
            (one.row.note,) if one.row.note else (),
            one.remarks or ("Within bounds.",),
            is_marked=bool(one.remarks) and one.cut_short is None,
        )
        for one in ones
    )
    sources = dict.fromkeys(one.row.published.source for one in ones if one.row.published.source)
    text = (*(f"Published: {source}." for source in sources), f"Again: {_command(table, environment)}")
    drawn = (_success_curves(table, ones),) if any(one.trials for one in ones) else ()
    return Section(f"Table {table.key}: {table.title}", text, cards, drawn)


def _success_curves(table: Table, ones: Sequence[Comparison]) -> Picture:
    """How many trials are solved after how many sequences."""
    from carrousel.report.figures import COLOURS, canvas, legend, log_axis, picture

    shown = [one for one in ones if one.trials]
    drawing, (axes,) = canvas([2.6 + 0.09 * len(shown)])
    log_axis(axes, "x", has_thirds=True)
    for k, one in enumerate(shown):
        done = sorted(trial.presentations for trial in one.trials if trial.solved)
        end = max(trial.presentations for trial in one.trials)
        places = [*([done[0]] if done else [end / BOUND]), *done, end]
        shares = [*range(len(done) + 1), len(done)]
        colour, dashes = COLOURS[k % len(COLOURS)], "-" if k < len(COLOURS) else "--"
        heights = [share / len(one.trials) for share in shares]
        axes.step(places, heights, where="post", lw=2, color=colour, ls=dashes, label=name_of(one.row))
        if published := list(one.row.published.presentations.values()):
            axes.plot(published[-1], 1.06, "v", ms=6, color=colour, clip_on=False)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0", "half", "all"])
    axes.set_xlabel("sequences presented")
    legend(axes)
    return picture(
        drawing,
        f"Table {table.key}: trials solved",
        "The share of the trials that are solved after so many sequences. Triangles: published means.",
    )


def pictures(folder: Path) -> tuple[Picture, ...]:
    """Train two nets and measure error flow and cost, about a minute's work, and draw what came out.

    Args:
        folder: where the trained nets are kept, and found by a later call.

    Raises:
        MissingExtraError: matplotlib is not installed; said before anything is trained.
        OutputError: a net can not be written.
    """
    import carrousel.report.figures  # noqa: F401

    nets = [solved.solved(task, folder) for task in solved.TASKS]
    return (
        solved.curve_figure(nets),
        *(solved.figure(solved.inside(net)) for net in nets),
        error_flow.figure(error_flow.error_flow()),
        *cost.figures(cost.cost()),
    )
