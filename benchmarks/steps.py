"""Steps of cells written by hand, as a user of torch or JAX writes them: the peers of a cell that has no operator.

One text serves both libraries; `ops` is torch's or JAX's way to say sigmoid. The gates are stacked: one product with
the input for the whole sequence before the loop, one with each state per step.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Protocol

__all__ = ["INITIAL", "STEPS", "Operations", "input_weights", "states_of"]

Step = Callable[[Any, Any], tuple]
Weights = Mapping[str, Any]


class Operations(Protocol):
    """What the steps need of a library."""

    def affine(self, a: Any, h: Any, R: Any) -> Any:
        """Return a + h @ R."""

    def split(self, value: Any, parts: int) -> Any:
        """Cut the last axis into equal parts."""

    sigmoid: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    log_sigmoid: Callable[[Any], Any]
    maximum: Callable[[Any, Any], Any]
    concatenate: Callable[[Any], Any]
    stop_gradient: Callable[[Any], Any]


def _elman(ops: Operations, w: Weights) -> Step:
    R = w["weight_hh"].T

    def step(a: Any, states: Any) -> tuple:
        return (ops.tanh(ops.affine(a, states[0], R)),)

    return step


def _lstm(ops: Operations, w: Weights) -> Step:
    R = w["weight_hh"].T

    def step(a: Any, states: Any) -> tuple:
        h, c = states
        i, f, z, o = ops.split(ops.affine(a, h, R), 4)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(z)
        return ops.sigmoid(o) * ops.tanh(c), c

    return step


def _peephole_lstm(ops: Operations, w: Weights) -> Step:
    R, (pi, pf, po) = w["weight_hh"].T, ops.split(w["weight_ch"], 3)

    def step(a: Any, states: Any) -> tuple:
        h, c = states
        i, f, z, o = ops.split(ops.affine(a, h, R), 4)
        i, f = ops.sigmoid(i + pi * c), ops.sigmoid(f + pf * c)
        c = f * c + i * ops.tanh(z)
        return ops.sigmoid(o + po * c) * ops.tanh(c), c

    return step


def _coupled_lstm(ops: Operations, w: Weights) -> Step:
    R = w["weight_hh"].T

    def step(a: Any, states: Any) -> tuple:
        h, c = states
        i, o, z = ops.split(ops.affine(a, h, R), 3)
        i = ops.sigmoid(i)
        c = (1 - i) * c + i * ops.tanh(z)
        return ops.sigmoid(o) * ops.tanh(c), c

    return step


def _lstm_1997(ops: Operations, w: Weights) -> Step:
    R = w["weight_hh"].T

    def step(a: Any, states: Any) -> tuple:
        h, c = states
        i, o, z = ops.split(ops.sigmoid(ops.affine(a, h, R)), 3)
        c = c + i * (4 * z - 2)
        return o * (2 * ops.sigmoid(c) - 1), c

    return step


def _gru(ops: Operations, w: Weights) -> Step:
    R, bias = w["weight_hh"].T, w["bias_hh"]

    def step(a: Any, states: Any) -> tuple:
        (h,) = states
        (ar, az, an), (ur, uz, un) = ops.split(a, 3), ops.split(ops.affine(bias, h, R), 3)
        r, z = ops.sigmoid(ar + ur), ops.sigmoid(az + uz)
        n = ops.tanh(an + r * un)
        return ((1 - z) * n + z * h,)

    return step


def _gru_2014(ops: Operations, w: Weights) -> Step:
    hidden = w["weight_hh"].shape[1]
    R, Rn = w["weight_hh"][: 2 * hidden].T, w["weight_hh"][2 * hidden :].T

    def step(a: Any, states: Any) -> tuple:
        (h,) = states
        r, z = ops.split(ops.sigmoid(ops.affine(a[..., : 2 * hidden], h, R)), 2)
        n = ops.tanh(ops.affine(a[..., 2 * hidden :], r * h, Rn))
        return (z * h + (1 - z) * n,)

    return step


def _slstm(ops: Operations, w: Weights) -> Step:
    R = w["weight_hh"].T

    def step(a: Any, states: Any) -> tuple:
        h, c, n, m = states
        log_i, f, z, o = ops.split(ops.affine(a, h, R), 4)
        log_f = ops.log_sigmoid(f)
        stabiliser = ops.stop_gradient(ops.maximum(log_f + m, log_i))
        i, f = ops.exp(log_i - stabiliser), ops.exp(log_f + m - stabiliser)
        c, n = f * c + i * ops.tanh(z), f * n + i
        return ops.sigmoid(o) * c / n, c, n, stabiliser

    return step


def _fgr(ops: Operations, w: Weights) -> Step:
    R, (pi, pf, po) = w["weight_hh"].T, ops.split(w["weight_ch"], 3)
    Ri, Rf, Ro = w["Ri"].T, w["Rf"].T, w["Ro"].T

    def step(a: Any, states: Any) -> tuple:
        h, c, i, f, o = states
        ai, af, az, ao = ops.split(ops.affine(a, h, R), 4)
        gates = ops.affine(ops.affine(ops.affine(ops.concatenate((ai, af, ao)), i, Ri), f, Rf), o, Ro)
        ai, af, ao = ops.split(gates, 3)
        i, f = ops.sigmoid(ai + pi * c), ops.sigmoid(af + pf * c)
        c = f * c + i * ops.tanh(az)
        o = ops.sigmoid(ao + po * c)
        return o * ops.tanh(c), c, i, f, o

    return step


#: cell -> what makes its step from the weights.
STEPS: dict[str, Callable[[Operations, Weights], Step]] = {
    "elman": _elman,
    "lstm": _lstm,
    "peephole_lstm": _peephole_lstm,
    "coupled_lstm": _coupled_lstm,
    "lstm_1997": _lstm_1997,
    "gru": _gru,
    "gru_2014": _gru_2014,
    "slstm": _slstm,
    "fgr": _fgr,
}

#: cell -> the values of its states before the first step where these are not two or one zero.
INITIAL: dict[str, tuple[float, ...]] = {
    "elman": (0.0,),
    "gru": (0.0,),
    "gru_2014": (0.0,),
    "slstm": (0.0, 0.0, 0.0, -inf),
    "fgr": (0.0,) * 5,
}


def states_of(name: str) -> tuple[float, ...]:
    """Return the values of a cell's states before the first step."""
    return INITIAL.get(name, (0.0, 0.0))


def input_weights(name: str, w: Weights) -> tuple[Any, Any]:
    """Return the matrix that multiplies the input, transposed, and the bias that goes with it.

    PyTorch's second bias is added once for the whole sequence where it stands beside the first: not in its GRU.
    """
    bias = w["bias_ih"] + w["bias_hh"] if "bias_hh" in w and name != "gru" else w["bias_ih"]
    return w["weight_ih"].T, bias
