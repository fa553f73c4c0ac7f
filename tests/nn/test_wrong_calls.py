"""The table of wrong calls, and what a failed export leaves behind: nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import carrousel
from carrousel import State, exchange
from carrousel.errors import CarrouselError
from nn.wrong_calls import WRONG_CALLS, broken, nets, recurrent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.func.jvp scripts a part of itself
@pytest.mark.parametrize(("error", "text", "call"), WRONG_CALLS, ids=[text[:70] for _, text, _ in WRONG_CALLS])
def test_wrong_call(error: type[Exception], text: str, call: Callable[[], object]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert type(caught.value) is error


def test_there_are_many() -> None:
    texts = [text for _, text, _ in WRONG_CALLS]
    assert len(set(texts)) >= 30


#: Each fails; the folder is empty.
FAILING: dict[str, Callable[[Path], object]] = {
    "NaN weights to ONNX": lambda folder: exchange.to_onnx(broken(), folder / "a.onnx"),
    "NaN weights to C": lambda folder: exchange.to_c(broken(), folder / "a"),
    "an opset that is not there": lambda folder: exchange.to_onnx(recurrent(), folder / "a.onnx", opset=5),
    "a population": lambda folder: exchange.to_onnx(nets(), folder / "a.onnx"),
    "two directions to C": lambda folder: exchange.to_c(recurrent(bidirectional=True), folder / "a"),
    "a sample that does not fit": lambda folder: exchange.to_c(
        recurrent(), folder / "a", int8=True, sample=torch.ones(5, 2)
    ),
    "a folder that is not there": lambda folder: exchange.to_c(recurrent(), folder / "none" / "a"),
    "a network without its example": lambda folder: exchange.to_onnx(
        torch.nn.Sequential(recurrent()), folder / "a.onnx"
    ),
    "a state into no folder": lambda folder: State.of(carrousel.GRU(3, 4), torch.zeros(1, 2, 4)).save(
        folder / "none" / "a"
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_export_leaves_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(CarrouselError):
        FAILING[name](tmp_path)
    assert list(tmp_path.iterdir()) == []
