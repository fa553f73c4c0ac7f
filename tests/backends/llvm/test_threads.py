"""Threads: the same bits for any number of them, in calls at once, after a fork, without OpenMP."""

import multiprocessing
import multiprocessing.connection
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from calls import Call, Shape, draw, results
from carrousel import cells
from carrousel.backends.llvm import kernel, plan, threads

#: How work is shared out -> the call, and what LARGE is for it; all is worth threads but where it says so.
SHARED = {
    "rows": (Shape(time=9, batch=7, hidden=17, input=5, lengths="some", reverse=True), 1 << 60),
    "units of rows": (Shape(time=9, batch=7, hidden=40, input=5, lengths="some", resets=True), 0),
    "units of rows of one length": (Shape(time=9, batch=7, hidden=33, input=17, reverse=True), 0),
    "units of a row": (Shape(time=6, batch=1, hidden=40, input=5, resets=True), 0),
    "a row, projected ahead": (Shape(time=13, batch=1, hidden=40, input=5), 1 << 60),
    "a row of wide inputs": (Shape(time=6, batch=1, hidden=40, input=64), 0),
    "a wide row of wide inputs": (Shape(time=6, batch=1, hidden=64, input=64), 0),
    "nets": (Shape(time=5, batch=2, nets=3, hidden=17, input=5, resets=True), 0),
    "nets of one row": (Shape(time=7, batch=1, nets=3, hidden=40, input=5), 0),
    "nets in the lanes": (Shape(time=5, batch=3, nets=20, hidden=3, input=2), 0),
}
#: Where threads share the units of all rows; of the wide ones a tile spans four vectors, and no share may cut it.
UNITS = {
    "units of a row",
    "units of rows",
    "units of rows of one length",
    "a row of wide inputs",
    "a wide row of wide inputs",
}
#: Two stages; means, which read the units of all threads.
CELLS = ("gru_2014", "layer_norm_lstm")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """No test leaves its threads, or plans that were made for them."""
    yield
    torch.set_num_threads(1)
    threads.team.cache_clear()
    plan.plan_for.cache_clear()


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, bool]]:
    """Threads, and whether they share units, of all that runs in a test; there even the smallest work is shared."""
    found, decide = set(), plan.Plan._threads

    def noted(made: plan.Plan) -> tuple[int, bool]:
        found.add(decide(made))
        return decide(made)

    monkeypatch.setattr(plan.Plan, "_threads", noted)
    monkeypatch.setattr(plan, "ROWS_AT_ONCE", 8)  # several blocks in these few steps
    for constant in ("SMALL", "LARGE", "LARGE_FOR_ROW", "AHEAD"):
        monkeypatch.setattr(plan, constant, 0)
    plan.plan_for.cache_clear()
    return found


def bits(call: Call, count: int) -> dict[str, bytes]:
    """All results and gradients of a call on some threads, bit for bit."""
    torch.set_num_threads(count)
    return {name: value.numpy().tobytes() for name, value in results(call, "llvm", torch.float32).items()}


# ---------------------------------------------------------------------- how many, and how


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("shared", SHARED)
def test_bits_do_not_depend_on_threads(name: str, shared: str, chosen: set, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, large = SHARED[shared]
    monkeypatch.setattr(plan, "LARGE", large)
    call = draw(cells.get(name), shape)
    one = bits(call, 1)
    assert chosen == {(1, False)}
    chosen.clear()
    for count in (2, 3, 2, 3, 3):  # run to run
        assert bits(call, count) == one, count
    assert chosen == {(count, shared in UNITS) for count in (2, 3)}


@pytest.mark.parametrize("shape", [Shape(time=6, batch=7, hidden=17), Shape(time=6, batch=1, hidden=40)])
def test_inference(shape: Shape, chosen: set) -> None:
    call = draw(cells.get("gru_2014"), shape)
    with torch.no_grad():
        one = bits(call, 1)
        assert all(bits(call, count) == one for count in (2, 3))
    assert {count for count, _ in chosen} == {1, 2, 3}


def test_as_many_as_torch_says() -> None:
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert threads.available() == count


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape(time=20, batch=3, hidden=17), (1, False)),
        (Shape(time=20, batch=1, hidden=40), (1, False)),
        (Shape(time=100, batch=2, hidden=40), (2, False)),
        (Shape(time=12, batch=1, hidden=260), (2, True)),
        (Shape(time=12, batch=3, hidden=260), (2, True)),
        (Shape(time=12, batch=7, hidden=260), (2, False)),
    ],
    ids=["little", "a short row", "rows", "a large net", "a few rows of it", "many rows of it"],
)
def test_small_work_is_for_one_thread(
    shape: Shape, expected: tuple[int, bool], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    sizes = {constant: getattr(plan, constant) for constant in ("SMALL", "LARGE", "LARGE_FOR_ROW", "AHEAD")}
    chosen = request.getfixturevalue("chosen")
    for constant, size in sizes.items():
        monkeypatch.setattr(plan, constant, size)
    call = draw(cells.get("gru_2014"), shape)
    two = bits(call, 2)
    assert chosen == {expected}
    assert bits(call, 1) == two


# ---------------------------------------------------------------------- calls at once


def test_calls_at_once(chosen: set, monkeypatch: pytest.MonkeyPatch) -> None:
    """From four Python threads, that all come first: kernels are loaded once, and each call has its own memory."""
    calls = [draw(cells.get("gru_2014"), SHARED[shared][0], seed=k) for k, shared in enumerate(SHARED)]
    right = [bits(call, 2) for call in calls]
    monkeypatch.setattr(kernel, "_kernels", {})
    plan.plan_for.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: bits(calls[k % len(calls)], 2), range(5 * len(calls))))
    assert found == 5 * right
    assert chosen >= {(2, False), (2, True)}


# ---------------------------------------------------------------------- a fork


def _in_child(call: Call, answer: multiprocessing.connection.Connection) -> None:
    answer.send((threads.available(), bits(call, 2), threads.available()))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child_runs_on_one_thread(chosen: set) -> None:
    call = draw(cells.get("gru_2014"), SHARED["rows"][0])
    right = bits(call, 2)  # starts OpenMP's threads, which no child has
    assert {count for count, _ in chosen} == {2}
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_child, args=(call, there))
    child.start()
    try:
        assert here.poll(60), "the child hangs"
        assert here.recv() == (1, right, 1)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
    assert threads.available() == 2
    assert bits(call, 2) == right


# ---------------------------------------------------------------------- without OpenMP


@pytest.mark.parametrize("shared", SHARED)
def test_pool_of_python_threads(shared: str, chosen: set, monkeypatch: pytest.MonkeyPatch) -> None:
    call = draw(cells.get("gru_2014"), SHARED[shared][0])
    right = bits(call, 1)
    monkeypatch.setattr(threads, "_loaded_libraries", lambda: ["/no/library.so"])
    threads.team.cache_clear()
    plan.plan_for.cache_clear()
    assert isinstance(threads.team(), threads.Pool)
    chosen.clear()
    assert all(bits(call, count) == right for count in (2, 3, 3))
    is_a_row = call.leaves["x"].shape[1:-1].numel() == 1  # its threads would have to wait at every step
    assert chosen == ({(1, False)} if is_a_row else {(2, False), (3, False)})


# ---------------------------------------------------------------------- the state of the CPU


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_denormal_numbers_are_left_to_torch(flush: bool, count: int, chosen: set) -> None:
    call = draw(cells.get("gru_2014"), SHARED["rows"][0])
    if not torch.set_flush_denormal(flush):
        pytest.skip("this CPU does not flush")
    try:
        bits(call, count)
        small = torch.full((3,), 1e-38) / 100
        assert small.view(torch.int32).eq(0).all() == flush
    finally:
        torch.set_flush_denormal(False)
