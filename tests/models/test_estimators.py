"""What forecaster, classifier and generator have in common beside training."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import estimator_checks

import carrousel
from carrousel.errors import OptionError, OutputError

WAVE = np.sin(np.arange(300) / 4) + np.arange(300) / 100
TEXT = "the quick brown fox jumps over the lazy dog. " * 60


@cache
def forecaster(**options: object) -> carrousel.Forecaster:
    return carrousel.Forecaster(2, context=8, **{"hidden_size": 4, "epochs": 1, "verbose": 0, **options}).fit(WAVE)


@cache
def classifier() -> carrousel.Classifier:
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    return carrousel.Classifier(hidden_size=4, epochs=1, verbose=0).fit(x, (x[:, 0, 0] > 0).astype(int))


@cache
def generator() -> carrousel.Generator:
    return carrousel.Generator(hidden_size=8, embed=4, seq_len=16, epochs=1, verbose=0).fit(TEXT)


def test_numbers_of_numpy_are_numbers() -> None:
    """Grids of parameters have them: `{"hidden_size": np.arange(...)}`."""
    options = {"hidden_size": np.int64(4), "seed": np.uint32(3), "lr": np.float32(0.5), "linear": np.bool_(True)}
    found = forecaster(**options)
    assert [type(getattr(found, name)) for name in options] == [int, int, float, bool]
    assert np.array_equal(found.predict(), forecaster(**{k: v.item() for k, v in options.items()}).predict())
    assert type(clone(found).set_params(hidden_size=np.int64(6)).hidden_size) is int


#: Those of scikit-learn's checks that fit nothing; on its tables the classifier alone can be fitted (test_sklearn.py).
PROTOCOL = [
    "estimator_cloneable", "estimator_repr", "estimator_tags_renamed",
    "get_params_invariance", "mixin_order", "no_attributes_set_in_init", "parameters_default_constructible",
    "set_params", "valid_tag_types",
]  # fmt: skip


@pytest.mark.parametrize("check", PROTOCOL)
@pytest.mark.parametrize("kind", [carrousel.Forecaster, carrousel.Classifier, carrousel.Generator])
def test_scikit_learns_protocol(kind: type, check: str) -> None:
    getattr(estimator_checks, f"check_{check}")(kind.__name__, kind())


@pytest.mark.parametrize(
    ("fitted", "inputs"),
    [(forecaster, ["known"]), (classifier, ["x", "lengths"]), (generator, ["symbols", "h0", "c0"])],
)
def test_as_onnx(fitted, inputs: list[str], tmp_path: Path) -> None:
    estimator = fitted()
    path = estimator.export_onnx(tmp_path / "net.onnx")
    assert [given.name for given in onnxruntime.InferenceSession(path).get_inputs()] == inputs
    with pytest.raises(OutputError, match="is there already"):
        estimator.export_onnx(path)
    assert estimator.export_onnx(path, overwrite=True) == path


@pytest.mark.parametrize("fitted", [forecaster, classifier, generator])
def test_loaded_for_a_device(fitted, tmp_path: Path) -> None:
    estimator = clone(fitted())
    vars(estimator).update({**vars(fitted()), "device": torch.device("cuda:3")})
    estimator.save(tmp_path / "run")
    for read in (carrousel.load, type(estimator).load):
        assert (read(tmp_path / "run").device, read(tmp_path / "run", device="cpu").device) == ("auto", "cpu")
        for device in ("meta", "file.py:cell", 3):
            message = f"Training - device {device!r} - expected auto, cpu, cuda or cuda:1"
            with pytest.raises(OptionError, match=re.escape(message)):
                read(tmp_path / "run", device)
        with pytest.raises(OptionError, match=r"device 'cuda:99', this machine has \d GPUs - use device='auto'"):
            read(tmp_path / "run", device="cuda:99")


def test_names_of_the_package() -> None:
    from carrousel.models.tuning import tune

    assert carrousel.tune is tune
    assert len(carrousel.datasets.sunspots()) == 309
    table = carrousel.datasets.carbon_dioxide()
    assert table.columns.tolist() == ["time", "ppm"]
    assert len(table) == 2284
    assert {"tune", "datasets"} <= set(dir(carrousel))


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.datasets.co2", None)
    with pytest.raises(carrousel.errors.MissingExtraError) as caught:
        carrousel.datasets.carbon_dioxide()
    assert str(caught.value) == "datasets - co2 is read from statsmodels - pip install statsmodels"
