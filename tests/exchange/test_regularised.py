"""Exports of regularised layers are those of their evaluation: expected mixes and bounds, no dropout."""

from pathlib import Path

import onnx
import pytest

import carrousel
from carrousel.exchange import to_c, to_onnx

OPTIONS = {
    "dropout": ({"input_dropout": 0.3, "recurrent_dropout": 0.3}, {"LSTM"}),
    "bounded gates": ({"gate_clip": 0.2}, {"LSTM"}),
    "bounded cell": ({"cell_clip": 0.2}, {"Scan"}),
    "zoneout": ({"zoneout": {"h": 0.3, "c": 0.2}}, {"Scan"}),
    "bounded projection": ({"proj_size": 2, "proj_clip": 0.1}, {"Scan"}),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_exported(name: str, tmp_path: Path) -> None:
    """`to_onnx` compares the file with the layer before it writes it."""
    options, expected = OPTIONS[name]
    layer = carrousel.LSTM(3, 4, **options)
    path = to_onnx(layer, tmp_path / "model.onnx", lengths=True)
    assert {node.op_type for node in onnx.load(path).graph.node} & {"LSTM", "Scan"} == expected
    text = to_c(layer, tmp_path / "model").source.read_text()
    assert ("clip" in text) == ("clip" in str(options))
