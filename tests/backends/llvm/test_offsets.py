"""Offsets beyond 32 bits: huge strides on sparse memory, the text itself, and, with `--huge`, so many elements."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import carrousel
from calls import Shape, draw, results
from carrousel import backends, cells

FAR = 2**31 + 64


@pytest.mark.parametrize("axis", ["time", "net", "row"])
@pytest.mark.parametrize("name", ["lstm", "gru_2014"])
def test_huge_strides(name: str, axis: str, tmp_path: Path) -> None:
    """Steps, networks or rows of x that are more than 2**31 elements apart, in a file that is nearly all holes."""
    call = draw(cells.get(name), Shape(time=2, nets=2, batch=2, hidden=3, reverse=axis == "time"), torch.float32)
    strides = {"time": (FAR, 12, 6, 1), "net": (12, FAR, 6, 1), "row": (12, 6, FAR, 1)}[axis]
    extent = 1 + sum((n - 1) * step for n, step in zip((2, 2, 2, 3), strides, strict=True))
    memory = torch.from_file(str(tmp_path / "x"), shared=True, size=extent, dtype=torch.float32)
    x = memory.as_strided((2, 2, 2, 3), strides).copy_(call.leaves["x"])
    far = results(replace(call, leaves={**call.leaves, "x": x}), dtype=torch.float32)
    for name, value in results(call, dtype=torch.float32).items():
        assert torch.equal(far[name], value), name


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("name", ["lstm", "gru_2014", "slstm"])
def test_every_offset_has_64_bits(name: str, direction: str) -> None:
    text = backends.get("llvm").source(cells.get(name).definition, direction)
    assert len(re.findall(r"getelementptr", text)) > 100
    assert set(re.findall(r"getelementptr[^\n]*, (i\d+) ", text)) == {"i64"}


@pytest.mark.skipif("not config.getoption('--huge')", reason="takes 9 GB of memory: --huge runs it")
def test_more_than_two_to_the_31_elements() -> None:
    """The end of a sequence so long is that of a call that starts there."""
    layer = carrousel.Recurrent("irnn", 1, 64, backend="llvm")
    time, batch, last = 2**19 + 1000, 64, 1000
    x = torch.randn(time, 1, 1).expand(time, batch, 1)
    with torch.no_grad():
        output, final = layer(x, torch.rand(1, batch, 64))
        assert output.numel() > 2**31
        again, final_again = layer(x[-last:], output[-last - 1][None])
    assert torch.equal(output[-last:], again)
    assert torch.equal(final, final_again)
