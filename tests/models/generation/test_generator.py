"""Generator: it learns, writes, is judged by bits, kept and read again; and what it is not given."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from carrousel.data.text import LEAST, read_text
from carrousel.errors import (
    DataError,
    DataWarning,
    ModelError,
    NotFittedError,
    OptionError,
    OptionTypeError,
    OutputError,
    UnknownNameError,
)
from carrousel.models.generation.generator import Generator

#: A language of four words, one of which needs two symbols of context.
WORDS = ["abc. ", "bca. ", "cab\n", "Zoë "]


def text(count: int = 2000, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(WORDS, count))


def generator(**options: object) -> Generator:
    small = {"hidden_size": 16, "embed": 8, "epochs": 3, "seq_len": 32, "verbose": 0, "max_seconds": None, "lr": 0.02}
    return Generator(**{**small, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> Generator:
    return generator().fit(text())


# ---------------------------------------------------------------------- learning


def test_it_learns_the_language(fitted: Generator) -> None:
    m = fitted.metrics_
    assert m["symbols"] == len(text())
    assert m["held_out"] == int(0.1 * m["symbols"])
    assert m["vocabulary"] == len(set(text()))
    best = 2 / np.mean([len(word) for word in WORDS])  # two bits choose a word
    assert best - 0.05 < m["bits"] < best + 0.1
    assert m["bits"] == pytest.approx(m["nats"] / math.log(2))
    assert m["unigram_bits"] > 2
    assert best - 0.05 < m["five_gram_bits"] < m["unigram_bits"]


def test_it_writes_the_language(fitted: Generator) -> None:
    written = fitted.generate(length=400, temperature=0.5, seed=0)
    assert len(written) == 400
    known = written.replace("\n", "\n|").replace(" ", " |").split("|")[:-1]
    assert sum(word in WORDS for word in known) > 0.95 * len(known)


def test_the_same_seed_learns_and_writes_the_same() -> None:
    one, two = (generator(epochs=1, seed=5).fit(text(500)) for _ in range(2))
    other = generator(epochs=1, seed=6).fit(text(500))
    assert one.metrics_ == two.metrics_ != other.metrics_
    assert one.generate("a", 50, seed=1) == two.generate("a", 50, seed=1) != one.generate("a", 50, seed=2)


def test_what_is_held_out_changes_no_weight() -> None:
    known, mirrored = text(500), text(500)
    mirrored = mirrored[: int(0.9 * len(known)) + 1] + mirrored[int(0.9 * len(known)) + 1 :][::-1]
    weights = [generator(epochs=1).fit(each).net_.state_dict() for each in (known, mirrored)]
    assert known != mirrored
    assert all(one.equal(two) for one, two in zip(weights[0].values(), weights[1].values(), strict=True))


def test_bytes_know_every_text() -> None:
    fitted = generator(level="byte", epochs=1).fit(text(800))
    assert fitted.metrics_["vocabulary"] == 256
    assert fitted.metrics_["symbols"] == len(text(800).encode())
    assert fitted.unit == "byte"
    assert math.isfinite(fitted.bpc("never seen: ÿ世界\n"))
    assert fitted.generate("Zo", 30, seed=0).startswith("Zo")


def test_cells_and_layers() -> None:
    assert generator(cell="gru", num_layers=2, epochs=1, dropout=0.2).fit(text(500)).metrics_["bits"] < 3.5


def test_files_and_folders(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.md"):
        (tmp_path / name).write_text(text(300), encoding="utf-8")
    assert generator(epochs=1).fit(tmp_path, glob="*.txt").metrics_["files"] == 2
    assert generator(epochs=1).fit(str(tmp_path / "a.txt")).metrics_["symbols"] == len(text(300))
    assert generator(epochs=1).fit(read_text(tmp_path / "c.md")).metrics_["files"] == 1


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    whole = generator(epochs=2).fit(text(400), folder=tmp_path / "whole")
    (tmp_path / "part").mkdir()

    class KilledError(Exception):
        pass

    def killed(self: object, *args: object) -> None:
        original(self, *args)
        raise KilledError

    from carrousel.learn.lesson import Keeper

    original = Keeper.on_train_epoch_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "on_train_epoch_end", killed)
        with pytest.raises(KilledError):
            generator(epochs=2).fit(text(400), folder=tmp_path / "part")
    resumed = generator(epochs=2).fit(text(400), folder=tmp_path / "part", resume=True)
    assert len(resumed.history_.epochs) == 2
    for name, value in whole.net_.state_dict().items():
        assert value.equal(resumed.net_.state_dict()[name]), name


# ---------------------------------------------------------------------- judging


def test_bits_of_another_text(fitted: Generator) -> None:
    assert fitted.bpc(text(300, seed=9)) == pytest.approx(fitted.metrics_["bits"], abs=0.1)
    assert fitted.bpc(text(300, seed=9)[::-1]) > fitted.bpc(text(300, seed=9)) + 1
    assert fitted.score(text(300)) == -fitted.bpc(text(300))
    found = fitted.evaluate(text(300))
    assert found["nats"] == pytest.approx(found["bits"] * math.log(2))
    assert found["symbols"] == len(text(300)) - 1
    assert found["unigram_bits"] == pytest.approx(fitted.metrics_["unigram_bits"], abs=0.1)
    assert found["bits"] < found["unigram_bits"]


def test_a_few_characters_that_were_not_learned(fitted: Generator) -> None:
    other = text(300)
    with pytest.warns(
        DataWarning, match=r"text - 2 of 1,\d\d\d characters were not learned and are left out: '!', 'é'"
    ):
        found = fitted.evaluate(other[:100] + "é" + other[100:] + "!")
    assert found == fitted.evaluate(other)


# ---------------------------------------------------------------------- writing


def test_pieces_are_what_is_written(fitted: Generator) -> None:
    pieces = list(fitted.stream("ab", 50, seed=3))
    assert len(pieces) == 50
    assert "ab" + "".join(pieces) == fitted.generate("ab", 50, seed=3)
    assert fitted.generate("ab", 0) == "ab"


def test_the_likeliest_continuation_needs_no_luck(fitted: Generator) -> None:
    assert fitted.generate("Zo", 2, temperature=0) == "Zoë "
    assert fitted.generate("Zo", 2, temperature=1.0, top_k=1) == "Zoë "


def test_states_are_carried_while_writing(fitted: Generator) -> None:
    written = fitted.generate("abc. ", 30, temperature=0)
    symbols = fitted.vocabulary_.encode(written)[:, None]
    with torch.no_grad():
        scores, _ = fitted.net_(symbols)
    assert scores[4:-1, 0].argmax(-1).tolist() == symbols[5:, 0].tolist()


# ---------------------------------------------------------------------- keeping


@pytest.mark.parametrize("level", ["char", "byte"])
def test_what_is_kept_writes_the_same(tmp_path: Path, level: str) -> None:
    fitted = generator(level=level, epochs=1, cell="peephole_lstm").fit(text(400))
    fitted.save(tmp_path / "run")
    again = Generator.load(tmp_path / "run")
    assert again.get_params() == fitted.get_params()
    assert again.metrics_ == fitted.metrics_
    assert again.generate("ab", 40, seed=1) == fitted.generate("ab", 40, seed=1)
    assert again.evaluate(text(99)) == fitted.evaluate(text(99))
    assert again.understood() == fitted.understood()
    with pytest.raises(OutputError, match="is there already"):
        fitted.save(tmp_path / "run")


def test_the_report_is_kept_with_the_run(tmp_path: Path, fitted: Generator) -> None:
    html = fitted.report(tmp_path / "page.html", "Four words")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == html
    for said in (
        "Four words",
        "5-gram",
        "8,",
        "held out",
        "Temperature 0.8",
        "Inside the net",
        "Learning curve",
        "lstm, 1 x 16",
    ):
        assert said in html
    fitted.save(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == html
    with pytest.raises(OutputError, match=r"can not be written: .* - name another place"):
        fitted.report(tmp_path / "no" / "page.html")


def test_a_text_that_is_kept_with_the_run(tmp_path: Path, fitted: Generator) -> None:
    again = clone(fitted).set_params(epochs=1).fit(text(300))
    again.keep("sample.txt", "abc. Zoë ")
    again.save(tmp_path / "run")
    assert (tmp_path / "run" / "sample.txt").read_text(encoding="utf-8") == "abc. Zoë "
    again.fit(text(300)).save(tmp_path / "other")
    assert not (tmp_path / "other" / "sample.txt").exists()


def test_a_run_whose_files_do_not_go_together(tmp_path: Path, fitted: Generator) -> None:
    fitted.save(tmp_path / "run")
    config = (tmp_path / "run" / "config.json").read_text()
    (tmp_path / "run" / "config.json").write_text(config.replace('"hidden_size": 16', '"hidden_size": 17'))
    said = (
        r"run/weights.safetensors - is not of the net that config.json describes: size mismatch for .* - train again, "
        "or take a copy"
    )
    with pytest.raises(ModelError, match=said) as caught:
        Generator.load(tmp_path / "run")
    assert len(str(caught.value).removeprefix(str(tmp_path))) < 300
    assert "\n" not in str(caught.value)


def test_clone_has_the_parameters_and_nothing_learned(fitted: Generator) -> None:
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match=r"call fit\(\) first"):
        copy.generate()


# ---------------------------------------------------------------------- what it is not given


@pytest.mark.parametrize("method", ["generate", "understood", "report"])
def test_before_fit(method: str) -> None:
    with pytest.raises(NotFittedError, match=r"Generator - is not fitted yet - call fit\(\) first"):
        getattr(generator(), method)()
    with pytest.raises(NotFittedError, match=r"call fit\(\) first"):
        generator().bpc("a\nb")


@pytest.mark.parametrize("level", ["char", "byte"])
def test_a_text_too_short(level: str) -> None:
    unit = {"char": "characters", "byte": "bytes"}[level]
    with pytest.raises(DataError, match=f"text - 80 {unit}; need 1,000 - give a longer text"):
        generator(level=level).fit("abcd123\n" * 10)
    assert generator(level=level, epochs=1).fit("abcd123\n" * (LEAST // 8)).metrics_["held_out"] == 100


@pytest.mark.parametrize("level", ["char", "byte"])
def test_one_symbol_throughout(level: str) -> None:
    with pytest.raises(DataError, match=r"text - it is b?'a' throughout: nothing to learn - give another text"):
        generator(level=level).fit("a" * 5000)
    assert generator(level=level, epochs=1).fit("a" * 2000 + "b").metrics_["symbols"] == 2001


def test_prompts_that_can_not_be(fitted: Generator) -> None:
    with pytest.raises(DataError, match=r"prompt - it has 'Q', '!', not among|prompt - it has '!', 'Q', not among"):
        fitted.generate("Qa!")
    with pytest.raises(OptionTypeError, match="prompt is a int, expected a str - give a text"):
        fitted.generate(3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="length is -1, expected at least 0"):
        fitted.generate("a", -1)
    with pytest.raises(OptionError, match="temperature is -1"):
        fitted.generate("a", temperature=-1)


def test_texts_that_can_not_be_judged(fitted: Generator) -> None:
    with pytest.raises(DataError, match=r"not among the .* characters that were learned"):
        fitted.bpc("0123\n")
    with pytest.raises(DataError, match="text - 1 symbols; need 2, the first is only read"):
        generator(level="byte", epochs=1).fit(text(300)).bpc(b"a")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": "word"}, OptionError, "level is 'word', expected char or byte"),
        ({"hidden_size": 0}, OptionError, "hidden_size is 0, expected at least 1"),
        ({"num_layers": 1.5}, OptionTypeError, "num_layers should be of type int"),
        ({"embed": 0}, OptionError, "embed is 0, expected at least 1"),
        ({"seq_len": 0}, OptionError, "seq_len is 0, expected at least 1"),
        ({"dropout": 1.0}, OptionError, "dropout is 1.0, expected a number from 0 to 0.99 - give one"),
        ({"dropout": "much"}, OptionError, "dropout is 'much', expected a number"),
        ({"val_fraction": 0}, OptionError, "val_fraction is 0, expected a number from 0.001 to 0.5"),
        ({"val_fraction": 0.9}, OptionError, "val_fraction is 0.9, expected a number from 0.001 to 0.5"),
        ({"batch_size": 0}, OptionError, "batch_size is 0, expected a whole number from 1"),
        ({"epochs": 0}, OptionError, "epochs is 0, expected at least 1"),
        ({"lr": 0}, OptionError, "lr is 0, expected a number above 0"),
        ({"lr": "x"}, OptionTypeError, "lr is 'x', expected a number - give one"),
        ({"max_seconds": "5"}, OptionTypeError, "max_seconds is '5', expected a number - give one"),
        ({"seed": 1.5}, OptionTypeError, "seed is 1.5, expected a whole number - give one"),
        ({"cell": 3}, OptionTypeError, "cell - is 3, expected a name"),
        ({"device": "cuda:99"}, OptionError, "this machine has"),
        ({"cell": "lstn"}, UnknownNameError, "Did you mean"),
    ],
)
def test_options_that_can_not_be(options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        generator(**options).fit(text(300))


def test_the_command_has_the_same_defaults() -> None:
    from inspect import signature

    from carrousel.cli.generate import generate

    names = {"hidden": "hidden_size", "layers": "num_layers", "seq": "seq_len", "batch": "batch_size"}
    defaults = {names.get(name, name): each.default for name, each in signature(generate).parameters.items()}
    known = Generator().get_params()
    shared = defaults.keys() & known.keys()
    assert {name: defaults[name] for name in shared} == {name: known[name] for name in shared}
    assert known.keys() - shared == {"verbose"}
