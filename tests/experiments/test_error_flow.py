"""Error flow: against products of Jacobians written by hand, and against what the papers say."""

import numpy as np
import pytest
import torch

from carrousel.errors import OptionError
from carrousel.experiments.error_flow import BOUNDED, CELLS, WARM_UP, Flow, error_flow, figure
from carrousel.nn.recurrent import Recurrent

LAGS, SEEDS = (1, 2, 10, 60), (3, 4)


@pytest.fixture(scope="module")
def flow() -> Flow:
    return error_flow(CELLS, LAGS, SEEDS)


def drawn(name: str, seed: int) -> tuple[Recurrent, torch.Tensor, torch.Tensor]:
    """A net as `error_flow` draws it, its inputs, and the direction of the loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = CELLS[name]()
    g = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(WARM_UP + LAGS[-1] + 1, 1, 2, generator=g, dtype=torch.float64) - 1
    v = torch.randn(layer.hidden_size, generator=g, dtype=torch.float64)
    return layer, x, v / v.norm()


@pytest.mark.parametrize(
    ("name", "slope"),
    [("Elman, tanh", lambda h: 1 - h**2), (BOUNDED, lambda h: h * (1 - h)), ("IRNN", lambda h: (h > 0).double())],
)
def test_simple_nets_are_products_of_jacobians(flow: Flow, name: str, slope: object) -> None:
    layer, x, error = drawn(name, SEEDS[1])
    with torch.no_grad():
        h = layer(x)[0][:, 0]
    expected = []
    for lag in range(1, LAGS[-1] + 1):
        error = layer.weight_hh_l0.detach().T @ (slope(h[-lag]) * error)  # type: ignore[operator]
        expected.append(float(error.norm()))
    np.testing.assert_allclose(flow.norms[name][1], [expected[lag - 1] for lag in LAGS], rtol=1e-9)


def test_no_error_exceeds_hochreiters_bound(flow: Flow) -> None:
    assert flow.bound is not None
    assert flow.bound.shape == (len(SEEDS), len(LAGS))
    assert (flow.norms[BOUNDED] < flow.bound).all()
    assert (flow.norms[BOUNDED] > 0).all()


def test_the_truncated_carrousel_keeps_all_of_it(flow: Flow) -> None:
    norms = flow.norms["LSTM 1997, truncated"]
    np.testing.assert_allclose(norms, norms[:, :1].repeat(len(LAGS), 1), rtol=1e-12)
    layer, x, v = drawn("LSTM 1997, truncated", SEEDS[0])
    with torch.no_grad():
        _, _, trace = layer(x, return_trace=("o", "c"))
    o, c = trace["o_l0"][-1, 0], torch.sigmoid(trace["c_l0"][-1, 0])
    np.testing.assert_allclose(norms[0, 0], float((v * o * 2 * c * (1 - c)).norm()), rtol=1e-9)


def test_what_forgets_and_what_does_not(flow: Flow) -> None:
    kept = {name: (norms[:, -1] / norms[:, 0]).min() for name, norms in flow.norms.items()}
    assert kept["Elman, tanh"] < 1e-9
    assert kept["LSTM 2000, forget bias 1"] < 1e-2
    for name in ("LSTM 1997", "LSTM 2000, chrono", "IRNN"):
        assert kept[name] > 0.05, name


def test_global_random_numbers_are_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    error_flow({"IRNN": CELLS["IRNN"]}, (1,), (0,))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_lags_may_come_in_any_order(flow: Flow) -> None:
    again = error_flow({BOUNDED: CELLS[BOUNDED]}, (60, 2, 1, 10, 2), SEEDS)
    assert again.lags == LAGS
    np.testing.assert_array_equal(again.norms[BOUNDED], flow.norms[BOUNDED])


@pytest.mark.parametrize(("lags", "seeds"), [((0, 1), (1,)), ((), (1,)), ((1,), ())])
def test_nothing_to_measure(lags: tuple[int, ...], seeds: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"error_flow - got seeds \[.*\] and lags \[.*\], expected .* - give others"):
        error_flow({"IRNN": CELLS["IRNN"]}, lags, seeds)


def test_figure_names_every_net_and_the_bound(flow: Flow) -> None:
    found = figure(flow)
    for name in [*CELLS, f"bound, {BOUNDED}"]:
        assert f">{name}<" in found.svg
    assert "medians of 2 nets" in found.caption


def test_figure_without_the_bounded_net() -> None:
    assert "bound" not in figure(error_flow({"IRNN": CELLS["IRNN"]}, (1, 5), (0,))).svg
