"""The report: published beside ours, in words where they differ, nothing unescaped, files that can be read again."""

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from carrousel.errors import MissingExtraError, OutputError
from carrousel.experiments import page
from carrousel.experiments.comparison import Comparison, compare
from carrousel.experiments.record import Record
from carrousel.experiments.tables import row_of, tables
from carrousel.experiments.trials import Published, Row, Table, Trial
from carrousel.report.page import Picture

ENVIRONMENT = {"size": "quick", "machine": "two <cores> & more"}
ADDING = "7 / T=100 / literal"  # 74,000 sequences, 1 of 2560 wrong, 93 weights, 10 trials


def record(folder: Path, key: str, presentations: list[int | None]) -> Record:
    """Trials of a row that took so many sequences, None for one that failed after 900,000."""
    found = Record(folder)
    for seed, count in enumerate(presentations):
        ok = count is not None
        found.add(
            Trial(key, seed, {"solved": count} if count else {}, ok, count or 900_000, 900_000,
                  {"wrong": 0.0005} if ok else {}, 1.5)
        )  # fmt: skip
    return found


def compared(folder: Path, counts: list[int | None], **published: object) -> Comparison:
    row = row_of(ADDING)
    row = replace(row, published=replace(row.published, **published))  # type: ignore[arg-type]
    return compare(row, record(folder, ADDING, counts))


def lines(one: Comparison) -> dict[str, tuple[str, str, str]]:
    return {name: rest for name, *rest in one.lines}  # type: ignore[misc]


# ---------------------------------------------------------------------- a row


def test_lines_of_a_row(tmp_path: Path) -> None:
    one = compared(tmp_path, [60_000, 70_000, 80_000, 100_000] * 2 + [77_500] * 2)
    assert lines(one) == {
        "solved": ["100 % of 10", "10 of 10", "72 to 100 %"],
        "solved, mean": ["74,000", "77,500", "1.05 x"],
        "solved, median": ["-", "77,500", ""],
        "solved, range": ["-", "60,000 to 100,000", ""],
        "test: wrong": ["0.000391", "0.0005", ""],
        "given up after": ["-", "900,000", ""],
        "weights": ["93", "93", ""],
        "seconds": ["-", "15.0", ""],
    }
    assert one.remarks == ()


def test_a_row_without_trials_says_so(tmp_path: Path) -> None:
    one = compared(tmp_path, [])
    assert one.remarks == ("No trials were run.",)
    assert lines(one)["solved"] == ["100 % of 10", "-", ""]
    assert lines(one)["solved, mean"] == ["74,000", "-", ""]
    assert lines(one)["weights"] == ["93", "93", ""]


def test_where_some_failed_the_mean_is_a_lower_bound(tmp_path: Path) -> None:
    one = compared(tmp_path, [74_000] * 3 + [None] * 3)
    assert lines(one)["solved, mean"] == ["74,000", "≥ 74,000", "1.00 x"]
    assert lines(one)["solved, median"] == ["-", "not reached", ""]
    assert one.remarks == ("Success rate below the published 100 %.",)


@pytest.mark.parametrize(
    ("counts", "published", "remark"),
    [
        ([111_000] * 3, {}, None),
        ([112_000] * 3, {}, "Needs 1.5 times as many sequences as published (solved): not within a factor of 1.5."),
        ([50_000] * 3, {}, None),
        ([37_000] * 3, {}, "Needs only 0.5 times as many sequences as published (solved): not within a factor of 1.5."),
        ([74_000] * 10, {"success": 0.0}, "Success rate above the published 0 %."),
        ([74_000] * 10, {"success": None}, None),
        ([74_000] * 10, {"success": 0.8}, None),
        ([None] * 3, {"success": 0.0, "presentations": {}}, None),
        ([None] * 3, {"success": None, "presentations": {}, "test": {}}, "No number is published to stand beside it."),
        ([74_000] * 3, {"test": {"wrong": 0.0003}}, "Test: wrong 0.0005, where 0.0003 is published."),
        ([None] * 3, {"success": 0.5}, "No trial reached solved."),
        ([74_000] * 29 + [None], {}, "Success rate below the published 100 %."),
    ],
)
def test_remarks(tmp_path: Path, counts: list[int | None], published: dict[str, object], remark: str | None) -> None:
    assert compared(tmp_path, counts, **published).remarks == ((remark,) if remark else ())


def short(folder: Path, counts: list[int | None], limit: int = 20_000) -> Comparison:
    """Trials that end after so few sequences that the published number was never possible."""
    trials = Record(folder)
    for seed, count in enumerate(counts):
        solved = {"solved": count} if count else {}
        trials.add(Trial(ADDING, seed, solved, count is not None, count or limit, limit, {}, 1.5))
    return compare(row_of(ADDING), trials)


CUT_SHORT = "Cut short after 20,000 sequences, before the 74,000 that are published: no failure, and no success."


def test_a_row_that_was_cut_short_says_so(tmp_path: Path) -> None:
    one = short(tmp_path / "some", [None, None, 19_000])
    some = "1 had succeeded, the others neither failed nor succeeded."
    assert one.remarks == (CUT_SHORT.replace("no failure, and no success.", some),)
    assert lines(one)["solved"] == ["100 % of 10", "1 of 3", "cut short at 20,000"]
    assert short(tmp_path / "none", [None] * 3).remarks == (CUT_SHORT,)


def test_rivals_that_were_given_up_before_the_papers(tmp_path: Path) -> None:
    key = "2 / BPTT rate 1.0 p=100 / rival"
    found = Record(tmp_path)
    found.add(Trial(key, 0, {}, False, 20_000, 20_000, {}, 1.0))
    one = compare(row_of(key), found)
    before = "before the 5,000,000 that are published: no failure, and no success."
    assert one.remarks == (f"Cut short after 20,000 sequences, {before}",)
    assert lines(one)["given up after"] == ["5,000,000", "20,000", ""]


def test_a_row_of_which_some_trials_still_run(tmp_path: Path) -> None:
    one = compare(row_of(ADDING), record(tmp_path, ADDING, [74_000] * 3), asked=10)
    assert one.remarks == ("3 of 10 trials have ended; the fast ones end first.",)


def test_a_row_that_could_have_been_solved_was_not_cut_short(tmp_path: Path) -> None:
    assert short(tmp_path / "all", [19_000] * 3).cut_short is None
    late = short(tmp_path / "late", [None] * 3, limit=74_000)
    assert late.cut_short is None
    assert late.remarks == ("Success rate below the published 100 %.", "No trial reached solved.")


def test_all_that_is_written_says_what_was_cut_short(tmp_path: Path) -> None:
    table = Table("7", "adding", (row_of(ADDING),))
    short(tmp_path, [None] * 3)
    trials = Record(tmp_path, resume=True)
    html = page.write([table], trials, tmp_path, ENVIRONMENT).read_text(encoding="utf-8")
    assert html.count(CUT_SHORT) == 2  # in the overview and beside its row
    assert "cut short at 20,000" in html
    (row,) = json.loads((tmp_path / page.JSON).read_text(encoding="utf-8"))["rows"]
    assert (row["cut short"], row["remarks"], row["within bounds"]) == (20_000, [CUT_SHORT], False)
    (line,) = csv.DictReader((tmp_path / page.CSV).read_text(encoding="utf-8").splitlines())
    assert (line["cut short"], line["remarks"]) == ("20000", CUT_SHORT)
    console = Console(file=io.StringIO(), width=120)
    console.print(page.table_of(table, trials))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "cut short at 20,000" in said
    assert CUT_SHORT[:40] in said


@pytest.mark.parametrize("count", [3, 10, 18, 20, 30])
def test_all_of_all_is_not_below_one_hundred_percent(tmp_path: Path, count: int) -> None:
    assert compared(tmp_path, [74_000] * count).remarks == ()


# ---------------------------------------------------------------------- files


@pytest.fixture
def written(tmp_path: Path) -> Path:
    chosen = [tables()["7"], tables()["9"]]
    picture = Picture("A <picture>", "of nothing", "<svg></svg>")
    return page.write(
        chosen, record(tmp_path, ADDING, [200_000, None, 40_000]), tmp_path / "new", ENVIRONMENT, [picture]
    ).parent


def test_results_as_json(written: Path) -> None:
    found = json.loads((written / page.JSON).read_text(encoding="utf-8"))
    assert found["environment"] == ENVIRONMENT
    assert [row["table"] for row in found["rows"]] == ["7"] * len(tables()["7"].rows) + ["9", "9"]
    row = next(row for row in found["rows"] if (row["row"], row["reading"]) == ("T=100", "literal"))
    assert row["published"]["presentations"] == {"solved": 74_000}
    assert row["ours"]["mean"] == {"solved": 120_000}
    assert row["ours"]["median"] == {"solved": 200_000}
    assert row["ours"]["interval"] == pytest.approx([0.2077, 0.9385], abs=1e-4)
    assert row["command"] == "carrousel reproduce 7 --quick"
    assert row["settings"] == "logistic output units"
    assert row["within bounds"] is False
    without = found["rows"][-1]
    assert without["ours"] is None
    assert without["remarks"] == ["No trials were run."]
    assert without["within bounds"] is False


def test_json_has_no_infinity(tmp_path: Path) -> None:
    page.write([tables()["7"]], record(tmp_path, ADDING, [74_000, None, None]), tmp_path, {})
    row = json.loads((tmp_path / page.JSON).read_text(encoding="utf-8"), parse_constant=pytest.fail)["rows"][0]
    assert row["ours"]["median"] == {"solved": None}
    assert row["command"] == "carrousel reproduce 7"


def test_the_command_names_the_number_of_trials(tmp_path: Path) -> None:
    asked = {"size": "quick", "trials": "4"}
    page.write([tables()["7"]], record(tmp_path, ADDING, [74_000] * 3), tmp_path, asked)
    row = json.loads((tmp_path / page.JSON).read_text(encoding="utf-8"))["rows"][0]
    assert row["command"] == "carrousel reproduce 7 --quick --seeds 4"
    assert row["remarks"][0] == "3 of 4 trials have ended; the fast ones end first."


def test_results_as_csv(written: Path) -> None:
    rows = list(csv.DictReader((written / page.CSV).read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(tables()["7"].rows) + 2
    row = rows[0]
    assert (row["table"], row["row"], row["reading"], row["trials"], row["solved"]) == (
        "7",
        "T=100",
        "literal",
        "3",
        "2",
    )
    assert (row["solved, published"], row["solved, mean"], row["weights, published"]) == ("74000", "120000.0", "93")
    assert row["success, published"] == "1.0"
    assert float(row["test: wrong"]) == 0.0005
    assert rows[-1]["remarks"] == "No trials were run."
    assert rows[-1]["solved, mean"] == ""


def test_the_page_says_everything(written: Path) -> None:
    html = (written / page.PAGE).read_text(encoding="utf-8")
    for text in (
        "Table 7: adding",
        "Table 9: temporal order",
        "74,000",
        "≥ 120,000",
        "2 of 3",
        "logistic output units",
        "Needs 1.6 times as many sequences as published (solved)",
        "No trials were run.",
        "carrousel reproduce 9 --quick",
        "two &lt;cores&gt; &amp; more",
        "A &lt;picture&gt;",
        "Table 7: trials solved",
    ):
        assert text in html, text
    assert "<cores>" not in html
    assert "Table 9: trials solved" not in html  # nothing to draw


def nasty() -> Row:
    published = Published({"<solved>": 10.0}, 1.0, 1, 1, {"<wrong>": 0.5}, "<source>")
    return replace(row_of(ADDING), name="[red]<name>[/red]", reading="<reading>", note="<note>", published=published)


def test_names_are_never_markup(tmp_path: Path) -> None:
    row = nasty()
    table = Table("<7>", "<title>", (row,))
    trials = record(tmp_path, row.key, [])
    trials.add(Trial(row.key, 0, {"<solved>": 30}, True, 30, 40, {"<wrong>": 0.5}, 1.0))
    html = page.write([table], trials, tmp_path, {"<fact>": "<value>"}).read_text(encoding="utf-8")
    names = ("name", "reading", "note", "solved", "wrong", "source", "7", "fact", "value")
    assert [name for name in names if f"<{name}>" in html] == []
    assert [name for name in names if f"&lt;{name}&gt;" not in html] == []
    console = Console(file=io.StringIO(), width=100)
    console.print(page.table_of(table, trials))
    assert "[red]<name>[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_shows_both_beside_each_other(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(page.table_of(tables()["7"], record(tmp_path, ADDING, [74_000] * 3)))
    said = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "Table 7: adding" in said[0]
    mean = next(line for line in said if "solved, mean" in line)
    assert mean.replace("│", "").split() == ["literal", "solved,", "mean", "74,000", "74,000", "1.00", "x"]
    assert any("T=100, closest: No trials were run." in line for line in said)
    assert not any("T=100, literal:" in line for line in said)  # it is within bounds


def test_without_matplotlib_the_numbers_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "carrousel.report.figures", raising=False)
    with pytest.raises(MissingExtraError, match="report - matplotlib is not installed, the figures need it - pip inst"):
        page.write([tables()["7"]], record(tmp_path, ADDING, [74_000]), tmp_path, {})
    assert (tmp_path / page.JSON).exists()
    assert (tmp_path / page.CSV).exists()
    with pytest.raises(MissingExtraError):
        page.pictures(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))  # nothing was trained in vain


def test_folder_that_can_not_be_written(tmp_path: Path) -> None:
    trials = record(tmp_path / "trials", ADDING, [])
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"reproduce - can not write .*results.json: .* - free space there, or name an"
    ):
        page.write([tables()["7"]], trials, tmp_path / "file", {})
