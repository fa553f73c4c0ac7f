"""Classifier: what it learns, in every form that people hold sequences in."""

import json
import os
import signal
import threading
import time as clock

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import carrousel
from carrousel.errors import DataError, DataWarning, NotFittedError, OptionError, OptionTypeError, OutputError
from carrousel.models.classification.classifier import Classifier
from carrousel.models.classification.net import ClassifyNet
from models.easy import CLASSES, easy


def small(**options):
    return Classifier(
        **{"hidden_size": 8, "num_layers": 1, "epochs": 15, "lr": 0.02, "refit": False, "verbose": 0, **options}
    )


@pytest.fixture(scope="module")
def fitted():
    return small().fit(*easy(60))


def long_frame(X, y):
    rows = [(f"s{k}", t, *step, name) for k, (x, name) in enumerate(zip(X, y, strict=True)) for t, step in enumerate(x)]
    return pd.DataFrame(rows, columns=["id", "time", "a", "b", "label"])


def test_it_learns(fitted):
    X, y = easy(60, seed=1)
    assert fitted.score(X, y) > 0.95
    assert fitted.classes_.tolist() == list(CLASSES)
    assert fitted.metrics_["validation"]["accuracy"] > 0.8
    assert fitted.metrics_["validation"]["count"] == 6
    np.testing.assert_allclose(fitted.predict_proba(X).sum(1), 1, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pool", ["mean", "last", "attention"])
def test_a_prediction_does_not_depend_on_batch_mates(pool, bidirectional):
    X, y = easy(30)
    classifier = small(pool=pool, bidirectional=bidirectional, num_layers=2, epochs=2).fit(X, y)
    X = [*X[:9], np.concatenate(X)]  # one that is much longer than the others
    together = classifier.predict_proba(X)
    alone = np.concatenate([classifier.predict_proba([x]) for x in X])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3


def test_the_last_step_and_the_first_are_read_with_pool_last():
    x = torch.randn(7, 2, 3)
    net = ClassifyNet("lstm", 3, 4, 5, pool="last").eval()
    output, (h, _) = net.recurrent(x, lengths=[7, 4])
    torch.testing.assert_close(net._pooled(output, torch.tensor([7, 4])), torch.cat([h[0], h[1]], -1))


def test_noise_is_of_training_only():
    net = ClassifyNet("lstm", 3, 4, 5, noise=1.0, shift=1.0)
    x, lengths = torch.randn(7, 2, 3), torch.tensor([7, 4])
    assert not torch.equal(net(x, lengths), net(x, lengths))
    net.eval()
    assert torch.equal(net(x, lengths), net(x, lengths))


def test_the_same_seed_gives_the_same_weights_and_another_others():
    X, y = easy(20)
    first, same, other = (small(epochs=2, seed=seed).fit(X, y).net_.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["scores.weight"], other["scores.weight"])


def test_scale_is_that_of_the_training_part():
    X, y = easy(30)
    far = [*X, np.full((4, 2), 1e6)]
    inside = small(epochs=1, val_fraction=0.0).fit(far, [*y, "high"])
    outside = small(epochs=1).fit(X, y, val=(far[-1:], ["high"]))
    assert inside.scale_.centre.max() > 1e3
    assert abs(outside.scale_.centre).max() < 1
    assert outside.counts_ == {"train": 30, "validation": 1}


def test_an_interrupted_run_keeps_its_best_weights_and_is_not_trained_anew(tmp_path):
    X, y = easy(30)

    def interrupt_once_it_learns():
        while not (tmp_path / "last.ckpt").exists():
            clock.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_once_it_learns)
    thread.start()
    classifier = small(epochs=100_000, patience=None, refit=True).fit(X, y, folder=tmp_path)
    thread.join()
    assert classifier.history_.stopped == "interrupted"
    assert classifier.again_ == {}
    assert classifier.metrics_["validation"]["count"] == 3
    assert not (tmp_path / "all").exists()


# ---------------------------------------------------------------------- forms of X and y


def test_arrays_and_layouts_are_the_same_sequences():
    y = ["a", "b"] * 6
    X = np.random.default_rng(0).normal(size=(12, 5, 2))
    reference = small(epochs=1).fit(list(X), y).predict_proba(list(X))
    for given, layout in ((X, "auto"), (X.transpose(0, 2, 1), "NCT"), (list(X.transpose(0, 2, 1)), "NCT")):
        np.testing.assert_array_equal(small(epochs=1, layout=layout).fit(given, y).predict_proba(given), reference)
    tensors = [torch.tensor(x) for x in X]
    np.testing.assert_array_equal(small(epochs=1).fit(tensors, y).predict_proba(torch.tensor(X)), reference)


def test_series_of_one_channel():
    X = np.random.default_rng(0).normal(size=(12, 5))
    y = [1, 2] * 6
    reference = small(epochs=1).fit(X, y).predict_proba(X)
    for given in (list(X), X[:, :, None], X[:, None, :], pd.DataFrame(X)):
        np.testing.assert_array_equal(small(epochs=1).fit(given, y).predict_proba(given), reference)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_frame_gives_a_frame(kind, fitted):
    X, y = easy(60)
    frame = kind(long_frame(X, y).to_dict("list"))
    classifier = small().fit(frame)
    torch.testing.assert_close(classifier.net_.state_dict(), fitted.net_.state_dict())
    answer = classifier.predict(frame.drop(columns="label") if kind is pd.DataFrame else frame.drop("label"))
    assert isinstance(answer, kind)
    assert list(answer.columns) == ["id", "label"]
    assert answer["id"].to_list() == [f"s{k}" for k in range(60)]
    assert (np.array(answer["label"].to_list()) == fitted.predict(X)).all()
    probabilities = classifier.predict_proba(frame)
    assert list(probabilities.columns) == ["id", "p_high", "p_low", "p_middle"]
    assert classifier.score(frame) == fitted.score(X, y)


def test_rows_may_be_in_any_order_where_there_is_time(fitted):
    frame = long_frame(*easy(12, seed=3))
    shuffled = frame.sample(frac=1.0, random_state=0)
    classifier = small(epochs=2).fit(frame)
    with pytest.warns(DataWarning, match=r"sorted \d+ rows by time"):
        answer = classifier.predict_proba(shuffled)
    pd.testing.assert_frame_equal(
        answer.sort_values("id", ignore_index=True),
        classifier.predict_proba(frame).sort_values("id", ignore_index=True),
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_of_tables(suffix, tmp_path):
    frame = long_frame(*easy(12))
    path = tmp_path / f"steps.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    classifier = small(epochs=1).fit(path)
    pd.testing.assert_frame_equal(classifier.predict(path), classifier.predict(frame))


def test_one_label_per_step():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 1)) for n in rng.integers(4, 9, 40)]
    y = [np.where(x[:, 0] > 0, "up", "down") for x in X]
    classifier = small(epochs=60).fit(X, y)
    assert classifier.per_step_
    assert classifier.score(X, y) > 0.9
    said = classifier.predict(X)
    assert [len(each) for each in said] == [len(x) for x in X]
    assert classifier.predict_proba(X)[3].shape == (len(X[3]), 2)
    assert classifier.metrics_["validation"]["count"] < sum(map(len, X))
    alone = np.concatenate([classifier.predict_proba([x])[0] for x in X])
    np.testing.assert_allclose(np.concatenate(classifier.predict_proba(X)), alone, atol=1e-5)


def test_one_label_per_step_of_a_frame_comes_back_row_by_row():
    X, _ = easy(10)
    frame = long_frame(X, ["?"] * 10).assign(label=lambda f: np.where(f["a"] > 0, "up", "down"))
    classifier = small(epochs=1).fit(frame)
    assert classifier.per_step_
    shuffled = frame.iloc[::-1].reset_index(drop=True)
    with pytest.warns(DataWarning, match="sorted"):
        answer = classifier.predict(shuffled)
    assert answer[["id", "time"]].equals(shuffled[["id", "time"]])
    both = answer.merge(classifier.predict(frame), on=["id", "time"])
    assert (both["label_x"] == both["label_y"]).all()


def test_missing_numbers_are_filled_or_told():
    X, y = easy(20)
    holes = [x.copy() for x in X]
    holes[3][1, 1] = np.nan
    for way, inputs in (("ffill", 2), ("interpolate", 2), ("mask", 3)):
        classifier = small(epochs=1, missing=way).fit(holes, y)
        assert classifier.net_.recurrent.input_size == inputs
        assert np.isfinite(classifier.predict_proba(holes)).all()
        assert classifier.predict(X).shape == (20,)  # none is missing: the same channels


def test_a_rare_class_counts_as_much_with_balanced():
    X, y = easy(60)
    keep = [k for k in range(60) if y[k] != "low" or k < 6]
    X, y = [X[k] for k in keep], y[keep]
    loud = small(epochs=3, class_weight="balanced").fit(X, y).predict_proba(X)[:, 1].mean()
    named = small(epochs=3, class_weight={"low": 10.0}).fit(X, y).predict_proba(X)[:, 1].mean()
    quiet = small(epochs=3).fit(X, y).predict_proba(X)[:, 1].mean()
    assert min(loud, named) > quiet


# ---------------------------------------------------------------------- scikit-learn


def test_clone_pipeline_and_grid_search_over_ragged_lists():
    X, y = easy(30)
    classifier = clone(small(epochs=1))
    assert classifier.get_params()["hidden_size"] == 8
    search = GridSearchCV(classifier, {"pool": ["mean", "last"]}, cv=2).fit(X, y)
    assert search.best_params_["pool"] in ("mean", "last")
    halved = FunctionTransformer(lambda sequences: [x[::2] for x in sequences])
    assert make_pipeline(halved, classifier).fit(X, y).predict(X).shape == (30,)


def test_saved_and_loaded_it_says_the_same_to_the_bit(tmp_path, fitted):
    X, _ = easy(20, seed=2)
    loaded = carrousel.load(fitted.save(tmp_path / "run"))
    assert isinstance(loaded, Classifier)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.predict(X).dtype == fitted.predict(X).dtype
    assert loaded.metrics_ == fitted.metrics_
    assert loaded.understood() == fitted.understood()


@pytest.mark.parametrize("labels", [[3, 7], [True, False], [1.0, 2.0]])
def test_labels_keep_their_type_in_a_run(labels, tmp_path):
    X, _ = easy(12)
    classifier = small(epochs=1, class_weight={labels[0]: 2.0}).fit(X, labels * 6)
    loaded = carrousel.load(classifier.save(tmp_path / "run"))
    assert loaded.classes_.dtype == np.array(labels).dtype == classifier.predict(X).dtype
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))


def test_a_table_is_read_after_loading(tmp_path):
    frame = long_frame(*easy(12))
    classifier = small(epochs=1, missing="mask").fit(
        frame.rename(columns={"label": "who", "id": "which"}), label="who", id="which"
    )
    loaded = carrousel.load(classifier.save(tmp_path / "run"))
    new = frame.rename(columns={"id": "which"}).drop(columns="label")
    pd.testing.assert_frame_equal(loaded.predict(new), classifier.predict(new))
    assert "who" in loaded.predict(new)


def test_the_report_goes_with_the_run(tmp_path, fitted):
    page = fitted.report(tmp_path / "page.html", title="Levels")
    assert page == (tmp_path / "page.html").read_text()
    fitted.save(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text() == page
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["validation"]["count"] == 6
    with pytest.raises(OutputError, match=r"can not be written: .* - name another place"):
        fitted.report(tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize("pool", ["mean", "last", "attention"])
def test_the_report_looks_inside_one_sequence(pool):
    X, y = easy(12)
    whole = small(epochs=1, pool=pool, cell="gru", num_layers=2).fit(X, y)
    seen, what = whole._inside()
    assert what.startswith("a sequence of class ")
    assert len(seen.reach) == len(seen.state)
    # every step counts where they are averaged
    assert (seen.reach > 0).all()
    assert "Inside the net" in whole.report()


def test_a_report_is_made_after_loading_too(tmp_path, fitted):
    page = carrousel.load(fitted.save(tmp_path / "run")).report()
    assert "Confusion matrix" in page
    assert "Inside the net" not in page  # it keeps no data to look at


def test_steps_with_labels_are_looked_inside_too():
    X, _ = easy(12)
    classifier = small(epochs=1).fit(X, [np.where(x[:, 0] > 0, "up", "down") for x in X])
    seen, _ = classifier._inside()
    assert seen.reach[-1] > 0


@pytest.mark.parametrize("refit", [False, True])
def test_predictions_of_what_was_held_out_go_with_the_run(refit, tmp_path):
    classifier = small(refit=refit, epochs=2).fit(long_frame(*easy(40)))
    classifier.save(tmp_path / "run")
    kept = pd.read_csv(tmp_path / "run" / "predictions.csv")
    scores = classifier.metrics_["validation"]
    assert len(kept) == scores["count"] == 3
    assert set(kept["id"]) < {f"s{k}" for k in range(40)}
    true = dict(zip((f"s{k}" for k in range(40)), easy(40)[1], strict=True))
    assert kept["label"].tolist() == [true[name] for name in kept["id"]]
    assert (kept["label"] == kept["predicted"]).mean() == scores["accuracy"]  # of the net that did not see them


def test_predictions_of_each_step_and_of_a_test_part(tmp_path):
    X, y = easy(20)
    steps = [[name] * len(x) for x, name in zip(X, y, strict=True)]
    classifier = small(epochs=1).fit(X[:16], steps[:16])
    held = [int(line.split(",")[0]) for line in classifier.kept_["predictions.csv"].splitlines()[1:]]
    assert all(held.count(k) == len(X[k]) for k in set(held))
    classifier.fit(X[:16], steps[:16], val=(X[16:18], steps[16:18]), test=(X[18:], steps[18:]))
    assert len(classifier.kept_["predictions.csv"].splitlines()) == 1 + sum(map(len, X[18:]))
    assert small(epochs=1, val_fraction=0.0).fit(X, y).kept_ == {}


def test_evaluate_adds_to_the_metrics(fitted):
    X, y = easy(30, seed=4)
    scores = fitted.evaluate(X, y)
    assert scores["accuracy"] == fitted.score(X, y) == fitted.metrics_["test"]["accuracy"]
    assert np.array(scores["confusion"]).sum() == 30
    del fitted.metrics_["test"]


def test_a_weighted_score(fitted):
    X, _y = easy(3)
    wrong = np.array(["high", "high", "high"])
    assert fitted.score(X, wrong, sample_weight=[1, 0, 0]) == float(fitted.predict(X[:1])[0] == "high")


def test_understood_says_what_was_read(fitted):
    assert fitted.understood() == (
        "60 sequences of 3 to 9 steps, 2 channels; 6 of them held out",
        "3 classes, one label per sequence: high, low, middle",
    )


def test_auto_epochs_make_about_as_many_updates():
    assert Classifier()._training_of(320).epochs == 60
    assert Classifier()._training_of(1600).epochs == 20
    assert Classifier()._training_of(10**6).epochs == 12
    assert Classifier(max_seconds=10.0)._training_of(1).max_seconds == 5
    assert Classifier(max_seconds=10.0)._training_of(2001).max_seconds == 10
    assert Classifier(max_seconds=10.0, refit=False)._training_of(1).max_seconds == 10


def test_refit_is_training_on_all_for_as_long():
    X, y = easy(30)
    part, both = small(epochs=3).fit(X, y), small(epochs=3, refit=True).fit(X, y)
    everything = small(epochs=3, val_fraction=0.0).fit(X, y)
    assert both.metrics_ == part.metrics_
    assert both.again_["epochs"] == 3
    assert everything.metrics_ == {}
    np.testing.assert_array_equal(both.scale_.centre, everything.scale_.centre)
    assert not np.array_equal(both.scale_.centre, part.scale_.centre)


def test_a_finished_run_that_is_resumed_ends_with_the_same_weights(tmp_path):
    X, y = easy(20)
    once = small(epochs=2, refit=True).fit(X, y, folder=tmp_path / "kept")
    again = small(epochs=2, refit=True).fit(X, y, folder=tmp_path / "kept", resume=True)
    torch.testing.assert_close(again.net_.state_dict(), once.net_.state_dict(), rtol=0, atol=0)
    with pytest.warns(UserWarning, match=r"no checkpoint in .*other to go on from: training begins anew"):
        anew = small(epochs=2, refit=True).fit(X, y, folder=tmp_path / "other", resume=True)
    torch.testing.assert_close(anew.net_.state_dict(), once.net_.state_dict(), rtol=0, atol=0)


# ---------------------------------------------------------------------- what is refused


def refused(match, X, y, options=(), error=DataError, **more):
    with pytest.raises(error, match=match):
        small(**{"epochs": 1, **dict(options)}).fit(X, y, **more)


def test_wrong_data_is_told_before_training():
    X, y = easy(12)
    refused("12 sequences but 11 labels - give one", X, y[:-1])
    refused("sequence 2 - has 0 steps", [*X[:2], np.empty((0, 2)), *X[3:]], y)
    refused("sequence 7 - has 1 channels, sequence 0 has 2", [*X[:7], X[7][:, :1], *X[8:]], y)
    refused("only class 'high' in y: 1 class", X, ["high"] * 12)
    refused(r"label 1 is missing \(NaN or None\)", X, ["a", None] * 6)
    refused("holds texts and numbers", X, ["a", 1] * 6)
    refused("Unknown label type: continuous, as 0.5", X, [0.5, 1] * 6)
    refused("target y is None", X, None)
    refused("sequence 0 has 3 steps but|sequence 0 has . steps but", X, [["a"] * 2] * 12)
    refused("single labels and lists", X, [["a"] * len(X[0]), *["a"] * 11])
    refused(
        r"sequence 3 step 1 channel 1 - is missing \(NaN\) - choose --missing \(missing=\) ffill",
        with_value(X, np.nan),
        y,
    )
    refused("sequence 3 step 1 channel 1 - is inf .* - replace or drop it", with_value(X, np.inf), y)
    refused("is inf", with_value(X, np.inf), y, {"missing": "mask"})


def with_value(X, value):
    changed = [x.copy() for x in X]
    changed[3][1, 1] = value
    return changed


def test_a_class_with_one_example_is_warned_of():
    X, y = easy(12)
    with pytest.warns(DataWarning, match="only 1 example of class rare"):
        small(epochs=1).fit([*X, X[0]], [*y, "rare"])


def test_labels_beside_a_table_that_is_described():
    X, y = easy(12)
    with pytest.raises(OptionError, match=r"y - the labels are beside X, and id, time names a column of a table"):
        small().fit(X, y, id="id", time="t")


def test_wrong_data_is_told_at_prediction(fitted):
    X, _y = easy(3)
    with pytest.raises(DataError, match="test label 'z' was not in training; classes are high, low, middle"):
        fitted.score(X, ["z", "low", "low"])
    with pytest.raises(DataError, match="X - has 3 channels, expected 2 as in fit - give the same"):
        fitted.predict([np.zeros((4, 3))])
    with pytest.raises(DataError, match="test - has one label per step, training has one per sequence"):
        fitted.score(X, [["low"] * len(x) for x in X])
    with pytest.raises(DataError, match=r"fitted on 2 columns \(a, b\); the data has 1 of them \(missing: b\)"):
        small(epochs=1).fit(long_frame(*easy(12))).predict(pd.DataFrame({"id": [1], "time": [1], "a": [0.1]}))
    with pytest.raises(DataError, match="validation label 'z' was not in training"):
        small(epochs=1).fit(*easy(12), val=(X[:1], ["z"]))
    with pytest.raises(DataError, match="validation - has 1 channel, expected 2 as in fit"):
        small(epochs=1).fit(*easy(12), val=([np.zeros((3, 1))], ["low"]))


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (pd.array(["high", None], dtype="string"), r"label 1 is missing \(NaN or None\) - give it"),
        (np.ma.masked_array([1, 2], mask=[False, True]), r"label 1 is missing \(NaN or None\) - give it"),
        ({"high", "low"}, "is a set, expected one label per sequence - give a list or an array"),
        ([pd.Timestamp("2020-01-01"), "a"], "holds a Timestamp, .* expected texts or whole numbers - convert it"),
        ([b"a", b"b"], "holds a bytes, b'a', expected texts or whole numbers - convert it"),
    ],
)
def test_labels_that_are_none(odd, message):
    with pytest.raises(DataError, match=f"^y - {message}"):
        small().fit([[1.0], [2.0]], odd)


@pytest.mark.parametrize("nothing", [[], ()])
def test_no_sequences(fitted, nothing):
    for method in (fitted.predict, fitted.predict_proba, lambda X: small().fit(X, [])):
        with pytest.raises(DataError, match=r"^X - 0 sequences, expected at least 1 - give a list of \(T, C\) arrays$"):
            method(nothing)


def test_predict_before_fit():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError, match=r"not fitted yet - call fit\(\) first"):
            getattr(Classifier(), method)([[1.0]])


def test_options_that_can_not_be():
    X, y = easy(12)
    refused("pool is 'max', expected one of mean, last, attention", X, y, {"pool": "max"}, OptionError)
    refused("class_weight is 'some', expected None, 'balanced'", X, y, {"class_weight": "some"}, OptionError)
    refused("class_weight - names 'hi'; .*Did you mean high", X, y, {"class_weight": {"hi": 1}}, OptionError)
    refused("class_weight - is -1 for 'high'", X, y, {"class_weight": {"high": -1}}, OptionError)
    refused("dropout is 1.5, expected at least 0 and below 1", X, y, {"dropout": 1.5}, OptionError)
    refused("noise is -1, expected at least 0 -", X, y, {"noise": -1}, OptionError)
    refused("shift is 'a', expected a number", X, y, {"shift": "a"}, OptionTypeError)
    refused("epochs is 'many', expected a whole number or 'auto'", X, y, {"epochs": "many"}, OptionError)
    refused("refit is 1, expected True, False or 'auto'", X, y, {"refit": 1}, OptionError)
    refused("scaler - 'minmax' is no scale", X, y, {"scaler": "minmax"}, OptionError)
    refused("missing - 'drop' is no way", X, y, {"missing": "drop"}, OptionError)
    refused("layout - got 'TNC', expected one of", X, y, {"layout": "TNC"}, OptionError)
    refused("cell - is 3, expected a name", X, y, {"cell": 3}, OptionTypeError)
    refused("lr is 'x', expected a number - give one", X, y, {"lr": "x"}, OptionTypeError)
    refused("max_seconds is '5', expected a number", X, y, {"max_seconds": "5", "refit": True}, OptionTypeError)
    refused("seed is 1.5, expected a whole number", X, y, {"seed": 1.5}, OptionTypeError)
    refused("No cell|no cell|'lstn'", X, y, {"cell": "lstn"}, ValueError)


def test_recordings_are_known_by_their_names(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("kaldi_native_fbank")
    for hertz, name in ((300, "low"), (2000, "high")):
        (tmp_path / name).mkdir()
        for take in range(3):
            tone = 0.5 * np.sin(np.arange(800 + 80 * take) * hertz * 2 * np.pi / 8000)
            soundfile.write(tmp_path / name / f"{take}.wav", tone, 8000)
    classifier = small(epochs=20, val_fraction=0.0).fit(tmp_path)
    loaded = carrousel.load(classifier.save(tmp_path.with_name("run")))
    said = loaded.predict(tmp_path)
    assert said["id"].tolist()[:2] == ["high/0.wav", "high/1.wav"]
    assert said["label"].tolist() == ["high"] * 3 + ["low"] * 3
    soundfile.write(tmp_path / "low" / "9.wav", np.zeros(1600), 16000)
    with pytest.raises(DataError, match=r"9\.wav - has 16,000 samples per second, expected 8,000"):
        loaded.predict(tmp_path)
