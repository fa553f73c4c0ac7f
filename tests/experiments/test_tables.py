"""The tables: every published row is there, its network has the published number of weights, and it runs."""

import pytest

from carrousel.errors import UnknownNameError
from carrousel.experiments import gers_2000, gers_2002, hochreiter_1997
from carrousel.experiments.spread import jobs, spread
from carrousel.experiments.tables import chosen, row_of, tables
from carrousel.experiments.training import run

ROWS = [row for table in tables().values() for row in table.rows]

#: Tables whose blocks are counted in what is presented.
PER_BLOCK = {*(table.key for table in hochreiter_1997.TABLES), "gers-2002", "le-2015"}

#: Readings that change the architecture, and so the number of weights.
FEWER = {"7 / T=100 / closest": 92, "7 / T=500 / closest": 92, "7 / T=1000 / closest": 92}
FEWER |= {row.key: row.published.weights - 36 for row in ROWS if row.table == "3" and row.reading == "closest"}


def test_keys_are_unique() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert all(row.table == key for key, table in tables().items() for row in table.rows)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_weights_are_the_published_ones(row) -> None:
    if row.published.weights is not None:
        assert row.start([0]).weights == FEWER.get(row.key, row.published.weights)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_every_row_runs(row) -> None:
    (trial,) = run(row, [0], 1)
    assert trial.row == row.key
    if row.table in PER_BLOCK:
        assert trial.presentations == row.block
    else:  # presentations are streams or guesses, and nets decide how many of them a block has
        assert 1 <= trial.presentations <= row.block
    assert {"quick", "full"} <= set(row.limit) == set(row.trials) <= {"quick", "standard", "full"}


def test_every_lstm_row_of_the_paper_is_there() -> None:
    literal = {(row.table, row.name) for row in ROWS if row.reading == "literal"}
    literal = {(table, name) for table, name in literal if "-" not in table}
    assert {table for table, _ in literal} == {"1", "2", "2b", "3", "4", "5", "6", "7", "8", "9"}
    counts = {table: sum(t == table for t, _ in literal) for table, _ in literal}
    assert counts == {"1": 5, "2": 1, "2b": 1, "3": 9, "4": 3, "5": 3, "6": 2, "7": 3, "8": 1, "9": 2}


def test_every_rival_of_the_paper_is_there() -> None:
    rivals = [(row.table, row.name.split(" ")[0]) for row in ROWS if row.reading == "rival"]
    assert sorted({name for table, name in rivals if table == "1"}) == ["Elman", "RTRL", "cascade-correlation,"]
    assert [name for table, name in rivals if table == "2"] == ["RTRL"] * 5 + ["BPTT", "chunker"]
    assert [name for table, name in rivals if table == "2b"] == ["RTRL", "BPTT", "chunker"]


def test_later_papers_are_there() -> None:
    """All rows of Table 2 of Gers et al. (2000); every task of the others, with and without what is new in them."""
    names = {key: [row.name for row in table.rows] for key, table in tables().items() if "-" in key}
    assert list(names) == ["gers-2000", "guessing-2001", "gers-2002", "le-2015"]
    assert names["gers-2000"][:5] == list(gers_2000.reber.PUBLISHED)
    tasks = {name.rpartition(", ")[0].split(" ")[0] for name in names["gers-2002"]}
    assert tasks == {"NMSD", "MSD", "GTS", "PFG"}
    assert sum("within 0.15" in name for name in names["gers-2002"]) == len(gers_2002.READINGS)
    times = [int(name.split("T=")[1].split(",")[0]) for name in names["le-2015"] if "IRNN" in name and "T=" in name]
    assert times == [150, 200, 300, 400]
    assert sum("digits" in name for name in names["le-2015"]) == 6


def test_unknown_table() -> None:
    with pytest.raises(UnknownNameError) as caught:
        chosen(["77"])
    assert str(caught.value) == (
        "reproduce - unknown table '77'; they are 1, 2, 2b, 3, 4, 5, 6, 7, 8, 9, gers-2000, guessing-2001, gers-2002, "
        "le-2015. Did you mean 7?"
    )
    assert [table.key for table in chosen(["9", "4"])] == ["4", "9"]


def test_jobs_are_populations() -> None:
    row = row_of("9 / 6a / literal")
    cut = jobs(row, range(20), 500)
    assert [len(job.seeds) for job in cut] == [16, 4]
    assert [seed for job in cut for seed in job.seeds] == list(range(20))


def test_processes_give_what_one_gives() -> None:
    row = row_of("9 / 6a / literal")
    work = [job for k in (0, 3) for job in jobs(row, range(k, k + 3), 200)]
    finished = []
    apart = sorted((t.seed, t.presentations, t.solved) for t in spread(work, 2, finished.append))
    assert apart == sorted((t.seed, t.presentations, t.solved) for t in spread(work, 1))
    assert len(apart) == 6
    assert sorted(job.seeds for job in finished) == [(0, 1, 2), (3, 4, 5)]
