"""Steps written by hand, run over a sequence: a Python loop of torch, and a compiled scan of JAX."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from benchmarks.steps import STEPS, input_weights, states_of
from benchmarks.timing import agree

__all__ = ["TorchLoop", "jax_available", "jax_sides"]

_TORCH: Any = SimpleNamespace(
    affine=torch.addmm,
    split=lambda value, parts: value.chunk(parts, -1),
    concatenate=lambda parts: torch.cat(parts, -1),
    sigmoid=torch.sigmoid,
    tanh=torch.tanh,
    exp=torch.exp,
    log_sigmoid=torch.nn.functional.logsigmoid,
    maximum=torch.maximum,
    stop_gradient=Tensor.detach,
)


class TorchLoop:
    """A cell as a loop over the steps, one matrix product per step and state."""

    def __init__(self, name: str, layer: Module) -> None:
        self.name = name
        self.weights = {n.removesuffix("_l0"): p for n, p in layer.named_parameters()}

    def __call__(self, x: Tensor) -> Tensor:
        """Return the outputs (steps, batch, hidden) of an input (steps, batch, inputs)."""
        W, bias = input_weights(self.name, self.weights)
        step = STEPS[self.name](_TORCH, self.weights)
        hidden = self.weights["weight_hh"].shape[1]
        states = tuple(x.new_full((x.shape[1], hidden), value) for value in states_of(self.name))
        output = []
        for a in (x @ W + bias).unbind(0):
            states = step(a, states)
            output.append(states[0])
        return torch.stack(output)


def jax_available() -> bool:
    """Whether JAX can be measured."""
    return find_spec("jax") is not None


def jax_sides(
    name: str, layer: Module, x: Tensor, weights: Tensor, expected: Sequence[Tensor], output: Tensor
) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return the calls of a JAX scan, checked.

    Args:
        name: a cell that has a step written by hand.
        layer: where its weights are.
        x: (steps, batch, inputs).
        weights: (steps, batch, hidden), of the loss.
        expected: the gradient of every parameter of the layer.
        output: (steps, batch, hidden).

    Returns:
        Mode -> side -> one call, which waits for the result.
    """
    import jax

    run = _scan(name)
    w = {n.removesuffix("_l0"): jax.numpy.asarray(p.detach().numpy()) for n, p in layer.named_parameters()}
    xj, weights_j = jax.numpy.asarray(x.numpy()), jax.numpy.asarray(weights.numpy())
    forward = jax.jit(run)
    backward = jax.jit(lambda w, x, dy: jax.vjp(lambda v: run(v, x), w)[1](dy)[0])

    def infer() -> Any:
        return jax.block_until_ready(forward(w, xj))

    def train() -> Any:
        return jax.block_until_ready(backward(w, xj, weights_j))

    agree(f"{name} as a JAX scan", np.asarray(infer()), output.detach())
    got = train()
    for (parameter, _), gradient in zip(layer.named_parameters(), expected, strict=True):
        what = f"gradient of {parameter} of {name} as a JAX scan"
        agree(what, np.asarray(got[parameter.removesuffix("_l0")]), gradient)
    return {"inference": {"JAX scan": infer}, "training": {"JAX scan": train}}


def _scan(name: str) -> Callable[[dict[str, Any], Any], Any]:
    import jax
    from jax import numpy as jnp

    ops: Any = SimpleNamespace(
        affine=lambda a, h, R: a + h @ R,
        split=lambda value, parts: jnp.split(value, parts, -1),
        concatenate=lambda parts: jnp.concatenate(parts, -1),
        sigmoid=jax.nn.sigmoid,
        tanh=jnp.tanh,
        exp=jnp.exp,
        log_sigmoid=jax.nn.log_sigmoid,
        maximum=jnp.maximum,
        stop_gradient=jax.lax.stop_gradient,
    )

    def run(w: dict[str, Any], x: Any) -> Any:
        W, bias = input_weights(name, w)
        step = STEPS[name](ops, w)
        hidden = w["weight_hh"].shape[1]
        start = tuple(jnp.full((x.shape[1], hidden), value, x.dtype) for value in states_of(name))

        def body(states: Any, a: Any) -> tuple[Any, Any]:
            new = step(a, states)
            return new, new[0]

        return jax.lax.scan(body, start, x @ W + bias)[1]

    return run
