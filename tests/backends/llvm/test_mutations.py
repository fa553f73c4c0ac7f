"""A change of the generated text on purpose, and the comparison of the other tests sees it."""

import re
from collections.abc import Iterator

import pytest

from calls import HERE, Call, Shape, assert_right, draw
from carrousel import cells
from carrousel.backends.llvm import kernel, plan
from carrousel.backends.llvm.kernel import Variant
from carrousel.backends.llvm.target import VARIABLE
from carrousel.backends.store import issue
from carrousel.calculus.notation import Definition

#: What is changed -> direction, a line of the text, what stands in it and what instead.
MUTATIONS = {
    "a gate sees another's sum": ("forward", '%"i" = call', '%"a_i"', '%"a_f"'),
    "a function": ("forward", '%"z" = call', '@"tanh.', '@"sigmoid.'),
    "a sign": ("forward", '%"c" = fadd', "fadd", "fsub"),
    "a factor": ("forward", '%"h" = fmul', '%"o"', '%"f"'),
    "what is kept": ("forward", 'store <[^>]*> %"z"', '%"z"', '%"i"'),
    "an adjoint's factor": ("backward", '%"dc_prev" = fmul', '%"f"', '%"i"'),
    "an adjoint's sign": ("backward", '%"dc.1" = fadd', "fadd", "fsub"),
    "where an adjoint is put": ("backward", 'store <[^>]*> %"da_f"', '%"da_f"', '%"da_i"'),
    "which rows are over": ("backward", 'icmp slt i64 %"t", ', "slt", "sle"),
}


@pytest.fixture(autouse=True)
def _no_memory_of_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(VARIABLE, HERE[-1])
    monkeypatch.setattr(kernel, "fetch", lambda key, make: make())
    monkeypatch.setattr(kernel, "_kernels", {})
    plan.plan_for.cache_clear()
    yield
    plan.plan_for.cache_clear()


def call() -> Call:
    return draw(cells.get("lstm"), Shape(lengths="some", resets=True))


def test_without_a_change() -> None:
    assert_right(call())


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_seen(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    direction, line, old, new = MUTATIONS[mutation]
    written, count = kernel.text_of, 0

    def changed(definition: Definition, variant: Variant) -> str:
        nonlocal count
        text = written(definition, variant)
        if variant.direction == direction:
            text, count = re.subn(rf"^.*{line}.*$", lambda m: m[0].replace(old, new), text, flags=re.MULTILINE)
        return issue(text)

    monkeypatch.setattr(kernel, "text_of", changed)
    with pytest.raises(AssertionError, match=r"gradient of|output|final"):
        assert_right(call())
    assert count
