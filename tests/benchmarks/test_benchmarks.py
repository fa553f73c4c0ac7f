"""The benchmark program runs at tiny sizes, and its bars are counted right. How fast anything is, no test says."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


def _package() -> ModuleType:
    """The package at the root; this folder, which is on the path too, has the same name."""
    spec = importlib.util.spec_from_file_location("benchmarks", ROOT / "benchmarks" / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    package.__path__ = [str(ROOT / "benchmarks")]
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)
    return package


_package()
bars = importlib.import_module("benchmarks.bars")
measurements = importlib.import_module("benchmarks.measurements")
timing = importlib.import_module("benchmarks.timing")
SHAPE = measurements.Shape(1, 10, 8, 8)
LARGE = measurements.Shape(32, 100, 256, 512)


def timed(part: str, case: str, mode: str, side: str, seconds: float, shape: object = SHAPE, products: int = 4):
    times = measurements.Times(seconds, seconds, seconds, seconds, 1)
    return measurements.Timing(part, case, mode, side, shape, times, 1000, 1, products, products)


def run(out: Path, *options: str) -> subprocess.CompletedProcess:
    """Run the program with the backend that compiles nothing."""
    common = ["--quick", "--threads", "1", "--backend", "eager", "--out", str(out)]
    command = [sys.executable, "-m", "benchmarks", *common, *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_every_side_of_every_part_is_in_the_json(tmp_path: Path) -> None:
    parts = ("peak", "lstm", "cells", "lengths", "population", "overhead", "steps", "recompute", "trials")
    done = run(tmp_path, *parts, "--wide", "--cell", "gru", "--cell", "slstm", "--no-jax")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped: the JAX scan: jax was left out" in done.stdout
    content = json.loads((tmp_path / "quick.json").read_text(encoding="utf-8"))
    assert content["environment"]["threads"] == 1
    assert content["environment"]["versions"]["torch"]
    assert content["environment"]["command"].startswith("python -m benchmarks --quick")
    assert content["roofs"]["fma"]["1"] > 0
    sides: dict[str, set[str]] = {}
    for found in content["timings"]:
        sides.setdefault(found["part"], set()).add(found["side"])
        assert 0 < found["times"]["least"] <= found["times"]["median"] <= found["times"]["upper"]
    assert sides["lstm"] == sides["wide"] == {"carrousel", "torch.nn", "ONNX Runtime"}
    assert sides["cells"] == {"carrousel", "torch.nn", "ONNX Runtime", "eager", "torch loop"}
    assert len(sides["lengths"]) == 5
    assert len(sides["population"]) == 3
    assert len(sides["overhead"]) == 4
    assert len(sides["recompute"]) == 3
    assert len(sides["trials"]) == 3
    for picture in ("quick.png", "quick-cells.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_parts_that_need_processes_of_their_own(tmp_path: Path) -> None:
    done = run(tmp_path, "compile", "memory", "--bars")
    assert done.returncode in (0, 1), done.stdout + done.stderr  # fast enough or not
    assert "first call for a new cell, filled cache" in done.stdout
    report = measurements.Report.read(tmp_path / "quick.json")
    assert {t.part for t in report.timings} == {"compile"}
    assert report.growths[0].calls[-1] == 20


def test_an_unknown_part_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "lstn")
    assert done.returncode == 2
    assert "lstn" in done.stderr


def test_geometric_mean() -> None:
    assert bars.geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert bars.geometric_mean([2.0, 2.0, 2.0]) == pytest.approx(2.0)


def test_bars_of_the_lstm() -> None:
    report = measurements.Report()
    for shape, ratio in ((SHAPE, 8.0), (LARGE, 1.1)):
        report.timings += [
            timed("lstm", "lstm", "training", "torch.nn", ratio, shape),
            timed("lstm", "lstm", "training", "carrousel", 1.0, shape),
            timed("lstm", "lstm", "inference", "torch.nn", 4.0, shape),
            timed("lstm", "lstm", "inference", "ONNX Runtime", 2.0, shape),
            timed("lstm", "lstm", "inference", "carrousel", 1.0, shape),
        ]
    mean, each, inference_mean, inference_each, *rest, agreeing = bars.check(report)
    assert (mean.measured, mean.held) == (pytest.approx(8.8**0.5), True)
    assert (each.measured, each.held) == (pytest.approx(1.1), False)
    assert str(LARGE) in each.detail
    assert (inference_mean.measured, inference_mean.held) == (pytest.approx(2.0), True)  # the better of the two
    assert inference_each.held
    assert all(bar.held is None for bar in rest)
    assert agreeing.held
    report.wrong.append("lstm differs")
    assert not bars.check(report)[-1].held


def test_bars_of_the_cells_count_recurrent_products() -> None:
    report = measurements.Report()
    report.timings += [
        timed("cells", "lstm", "inference", "carrousel", 4.0, products=4),
        timed("cells", "fgr", "inference", "carrousel", 13.0, products=13),
        timed("cells", "elman", "inference", "carrousel", 1.4, products=1),
        timed("cells", "elman", "inference", "eager", 60.0, products=1),
        timed("cells", "elman", "inference", "torch loop", 28.0, products=1),
        timed("cells", "elman", "inference", "JAX scan", 2.8, products=1),
    ]
    found = {bar.name: bar for bar in bars.check(report) if bar.measured is not None}
    gate, loop, scan, _ = found.values()
    assert (gate.measured, gate.held) == (pytest.approx(1.4), False)
    assert "elman" in gate.detail
    assert (loop.measured, loop.held) == (pytest.approx(20.0), True)  # beside the faster of the two loops
    assert (scan.measured, scan.held) == (pytest.approx(2.0), False)


def test_bars_of_lengths_first_call_and_memory() -> None:
    report = measurements.Report()
    report.timings += [
        timed("lengths", "lstm", "inference", "carrousel, padded", 1.0),
        timed("lengths", "lstm", "inference", "carrousel, lengths=", 0.5),
        timed("compile", "leaky_lstm", "inference", "first call, empty cache", 0.9),
        timed("compile", "leaky_lstm", "training", "first call, empty cache", 1.2),
        timed("compile", "leaky_lstm", "training", "first call, filled cache", 0.02),
    ]
    calls, sizes = tuple(range(8)), (100.0, 150.0, 160.0, 160.0, 160.0, 160.0, 161.0, 161.0)
    report.growths.append(measurements.Growth("carrousel, lstm", "training", calls, sizes))
    report.growths.append(measurements.Growth("torch.nn.LSTM", "training", calls, tuple(range(100, 900, 100))))
    found = [(bar.measured, bar.held) for bar in bars.check(report) if bar.measured is not None]
    assert found == [
        (pytest.approx(2.0), True),
        (pytest.approx(1200), False),
        (pytest.approx(20), True),
        (pytest.approx(1.0), True),
        (0.0, True),
    ]


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    roofs = measurements.Roofs(16, {"1": 240.0, "2": 480.0}, (measurements.Transfer("L1", 24576, 1, 470.0),))
    growth = measurements.Growth("carrousel, lstm", "inference", (0, 1), (1.0, 2.0))
    report = measurements.Report(
        {"threads": 2}, [timed("lstm", "lstm", "training", "a", 1.0)], [growth], roofs, ["x"], ["y"]
    )
    report.write(tmp_path / "report.json")
    again = measurements.Report.read(tmp_path / "report.json")
    assert again == report
    joined = measurements.Report()
    joined.add(again)
    joined.add(measurements.Report({"threads": 2, "taken_by_others": 0.25}))
    assert joined.timings == report.timings
    assert joined.environment == {"threads": 2, "taken_by_others": 0.25}


def test_sides_that_differ_are_not_timed() -> None:
    with pytest.raises(timing.DisagreementError, match=r"differs by 1\.0e-03"):
        timing.agree("h", [1.0, 0.5], [1.0, 0.501])
    with pytest.raises(timing.DisagreementError, match="differs by nan"):
        timing.agree("h", [float("nan")], [1.0])
    timing.agree("gradient", [1000.0, 1.0], [1000.05, 1.0])


def test_a_disagreement_ends_its_case_only() -> None:
    def measure(expected: float):
        yield 1
        timing.agree("h", [1.0], [expected])
        yield 2

    assert list(timing.attempt(measure, 1.0)) == [1, 2]
    first, finding = timing.attempt(measure, 3.0)
    assert (first, finding.what) == (1, "h - differs by 6.7e-01, expected at most 1e-03")


def test_a_slow_first_call_does_not_make_a_slow_side() -> None:
    calls = []

    def compiles_once() -> None:
        calls.append(0)
        if len(calls) == 1:
            time.sleep(0.12)

    plan = importlib.import_module("benchmarks.plan").Plan(repeat=3)
    assert timing.compare({"ours": compiles_once}, plan)["ours"].calls == 600


def test_flops_are_those_of_the_products() -> None:
    counts = importlib.import_module("benchmarks.counts").counts
    from carrousel import cells

    products = {name: (counts(cells.get(name)).gates, counts(cells.get(name)).products) for name in cells.names()}
    assert products["lstm"] == (4, 4)
    assert products["fgr"] == (4, 13)
    assert products["gru_2014"] == (3, 3)
    assert products["lstm_1997_input_gate"] == (2, 2)
    assert counts(cells.get("lstm")).flops(LARGE, "inference") == 2 * 32 * 100 * 4 * 512 * (256 + 512)
    plain, truncated = (counts(cells.get(name)) for name in ("lstm_1997", "lstm_1997_truncated"))
    assert plain.carried == 3
    assert truncated.carried == 0


def test_bars_of_trials_count_the_steps_of_each() -> None:
    report = measurements.Report()
    long = measurements.Shape(1, 1050, 2, 4)
    report.timings += [
        timed("trials", "adding", "training", "carrousel", 0.0003, measurements.Shape(1, 105, 2, 4)),
        timed("trials", "adding", "training", "carrousel", 0.0015, long),
    ]
    short_bar, long_bar = (bar for bar in bars.check(report) if bar.name.startswith("adding"))
    assert (short_bar.measured, short_bar.held) == (pytest.approx(350), True)
    assert (long_bar.measured, long_bar.held) == (pytest.approx(700), False)
    assert str(long) in long_bar.detail
