"""Learn to write like a text: characters or bytes, one after the other."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.cell import Cell
from carrousel.data.text import LEAST, Source, Text, Vocabulary, read_text
from carrousel.errors import DataError, OptionError, OptionTypeError
from carrousel.learn import Training, fit
from carrousel.models.estimator import Estimator
from carrousel.models.generation import page as pages
from carrousel.models.generation.net import Carried, HeldOut, Streams, TextNet, nats
from carrousel.models.generation.ngrams import COUNTED, NGrams
from carrousel.models.generation.sampling import Sampling
from carrousel.models.own_cell import find
from carrousel.models.room import enough_memory
from carrousel.nn.checks import whole_number

__all__ = ["Generator"]

#: Symbols that are held out at most: judging them takes seconds.
_HELD_OUT = 1_000_000
#: Of the held-out text so many symbols are kept, for the report's look inside.
_EXAMPLE = 400


class Generator(Estimator):
    """Learn to continue a text, symbol by symbol.

    The last part of the text is held out: the best weights are chosen on it, and the bits per symbol that the net needs
    for it stand beside those of counting symbols (unigram) and of a Kneser-Ney 5-gram. The first part is read in
    streams side by side; their states are carried over the whole text, gradients over `seq_len` symbols.

    Args:
        level: "char" or "byte", which knows every text.
        hidden_size: hidden units of each layer.
        num_layers: recurrent layers.
        embed: features of a symbol.
        seq_len: symbols that a gradient flows back over.
        cell: a name of the registry, "file.py:name", or a Cell.
        dropout: probability of dropout before, between and after the layers.
        val_fraction: part of the text, at its end, that is held out; at most a million symbols.
        lr: the highest learning rate.
        batch_size: streams that are read side by side.
        epochs: at most so many passes; short texts are read several times in one, long ones in parts.
        patience: stop after so many epochs without a better held-out end.
        max_seconds: stop after this time; the learning rate falls with it, so the same seed gives the same weights
            only with None.
        device: "auto", "cpu", "cuda", ...
        seed: of weights, order and dropout.
        verbose: 0 says nothing while training.
        threads: of torch, None for as many as it has.

    Attributes:
        vocabulary_: the symbols.
        metrics_: `bits` per symbol of the held-out end, beside `unigram_bits` and `five_gram_bits`; counts of symbols.
        history_: the epochs.
        net_: the network.

    Example:
        >>> generator = Generator(hidden_size=16, epochs=2, verbose=0).fit("The quick brown fox jumps.\\n" * 100)
        >>> len(generator.generate("The ", length=20))
        24

    Source:
        Graves (2013), Generating sequences with recurrent neural networks; the yardsticks:
        `carrousel.models.generation.ngrams`.
    """

    kind: ClassVar[str] = "generate"

    vocabulary_: Vocabulary
    example_: str
    counts_: NDArray[np.int64]

    def __init__(
        self,
        level: str = "char",
        *,
        hidden_size: int = 384,
        num_layers: int = 1,
        embed: int = 64,
        seq_len: int = 64,
        cell: str | Cell = "lstm",
        dropout: float = 0.1,
        val_fraction: float = 0.1,
        lr: float = 4e-3,
        batch_size: int = 32,
        epochs: int = 100,
        patience: int | None = 8,
        max_seconds: float | None = 120.0,
        device: str = "auto",
        seed: int = 0,
        verbose: int = 1,
        threads: int | None = None,
    ) -> None:
        self.level, self.hidden_size, self.num_layers, self.embed = level, hidden_size, num_layers, embed
        self.seq_len, self.cell, self.dropout, self.val_fraction = seq_len, cell, dropout, val_fraction
        self.lr, self.batch_size, self.epochs, self.patience = lr, batch_size, epochs, patience
        self.max_seconds, self.device, self.seed = max_seconds, device, seed
        self.verbose, self.threads = verbose, threads

    # ------------------------------------------------------------------ learning

    @enough_memory()
    def fit(
        self, text: Source | Text, y: None = None, *, glob: str = "*", folder: Path | None = None, resume: bool = False
    ) -> Self:
        """Learn a text.

        Args:
            text: the text itself, or the path, or paths, of files, folders or patterns, as in
                `carrousel.data.text.read_text`; or what that function returned.
            y: nothing; scikit-learn's pipelines pass it.
            glob: the names of the files that are read in a folder.
            folder: where a checkpoint is kept after every epoch; none is kept if None.
            resume: go on from that checkpoint.

        Raises:
            DataError: there is no such file, it is no text, too short, or the same symbol throughout.
            OptionError, OptionTypeError: an option can not be.
        """
        training = self._checked()
        found = text if isinstance(text, Text) else read_text(text, self.level, glob)
        symbols, vocabulary = self._symbols(found.content)
        cut = len(symbols) - min(max(2, int(self.val_fraction * len(symbols))), _HELD_OUT)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            net = self._net(vocabulary)
        streams = Streams(symbols[:cut], self._batch_of_all, self.seq_len, self.seed)
        judged = HeldOut(symbols, cut)
        history = fit(net, Carried(), streams, judged, training, folder=folder, resume=resume)
        self.net_, self.history_, self.vocabulary_ = net, history, vocabulary
        self.report_, self.kept_ = "", {}
        self.example_ = vocabulary.decode(symbols[cut:][:_EXAMPLE])
        self.counts_ = np.bincount(symbols[:cut][-COUNTED:].numpy(), minlength=len(vocabulary))
        self.metrics_ = self._measured(symbols, cut) | {"files": found.files}
        return self

    def _checked(self) -> Training:
        """How the net is trained; every option has been looked at."""
        for name, least in (("hidden_size", 1), ("num_layers", 1), ("embed", 1), ("seq_len", 1)):
            whole_number("Generator", name, getattr(self, name), least)
        for name, low, high in (("dropout", 0.0, 0.99), ("val_fraction", 0.001, 0.5)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise OptionError(
                    f"Generator - {name} is {value!r}, expected a number from {low:g} to {high:g} - give one"
                )
        find(self.cell)
        return self._training()

    def _symbols(self, content: str | bytes) -> tuple[Tensor, Vocabulary]:
        """A text's symbols, and their vocabulary; what nothing can be learned from is refused."""
        unit = "bytes" if self.level == "byte" else "characters"
        if isinstance(content, str) and self.level == "byte":
            content = content.encode()
        if len(content) < LEAST:
            raise DataError(f"text - {len(content):,} {unit}; need {LEAST:,} - give a longer text")
        if len(set(content[:LEAST])) == 1 and len(set(content)) == 1:
            raise DataError(f"text - it is {content[:1]!r} throughout: nothing to learn - give another text")
        vocabulary = Vocabulary.of(content)
        return vocabulary.encode(content), vocabulary

    def _net(self, vocabulary: Vocabulary) -> TextNet:
        return TextNet(
            find(self.cell), len(vocabulary), self.embed, self.hidden_size, self.num_layers, float(self.dropout)
        )

    def _measured(self, symbols: Tensor, cut: int) -> dict[str, Any]:
        """What the held-out end shows: the net, and what counting does."""
        text, size = symbols.numpy(), len(self.vocabulary_)
        found = nats(self._fitted, symbols, cut)
        return {
            "nats": found,
            "bits": found / math.log(2),
            "unigram_bits": self._unigram_nats(symbols, cut) / math.log(2),
            "five_gram_bits": NGrams(text[:cut], 5, size).nats(text, cut) / math.log(2),
            "symbols": len(symbols),
            "held_out": len(symbols) - cut,
            "vocabulary": size,
            "weights": sum(parameter.numel() for parameter in self.net_.parameters()),
        }

    def _unigram_nats(self, symbols: Tensor, begin: int) -> float:
        """What the frequencies of the symbols that were learned from need for a text."""
        learned = np.repeat(np.arange(len(self.counts_)), self.counts_)
        return NGrams(learned, 1, len(self.vocabulary_)).nats(symbols.numpy(), begin)

    @property
    def _fitted(self) -> TextNet:
        self._check_fitted()
        assert isinstance(self.net_, TextNet)
        return self.net_

    # ------------------------------------------------------------------ writing

    def generate(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> str:
        """Return the prompt and what follows it.

        Args:
            prompt: the beginning.
            length: symbols that follow it.
            temperature: 1 draws with the net's own probabilities, less is tamer, 0 takes the likeliest symbol.
            top_k: only the k likeliest symbols can come; 0 for all.
            top_p: only the fewest symbols whose probabilities reach this sum can come; 1 for all.
            seed: the same seed writes the same text; None takes torch's global randomness.

        Raises:
            NotFittedError: nothing was learned yet.
            DataError: the prompt has characters that were not in the text.
            OptionError, OptionTypeError: a number is out of its range, or none.
        """
        return prompt + "".join(self.stream(prompt, length, temperature, top_k, top_p, seed))

    def stream(
        self,
        prompt: str = "",
        length: int = 500,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Yield what follows the prompt, piece by piece, as it is written; arguments as in `generate`."""
        net = self._fitted
        whole_number("generate", "length", length, 0)
        if not isinstance(prompt, str):
            raise OptionTypeError(f"generate - prompt is a {type(prompt).__name__}, expected a str - give a text")
        sampling = Sampling(temperature, top_k, top_p, seed)
        # without a prompt the text begins as after a line's end
        given = self.vocabulary_.encode(prompt, "prompt") if prompt else self.vocabulary_.beginning()
        return self._written(net, given, length, sampling)

    def _written(self, net: TextNet, given: Tensor, length: int, sampling: Sampling) -> Iterator[str]:
        decode = self.vocabulary_.decoder()
        symbols, states = given[:, None], None
        for k in range(length):
            with torch.inference_mode():
                scores, states = net(symbols, states)
                drawn = sampling(scores[-1, 0])
            symbols = torch.tensor([[drawn]])
            if piece := decode(drawn, k == length - 1):
                yield piece

    def bpc(self, text: Source) -> float:
        """Return the bits per character (of bytes: per byte) that the net needs for another text.

        Args:
            text: as in `fit`; two symbols or more.

        Raises:
            NotFittedError: nothing was learned yet.
            DataError: there is no such file, or more than one character in a hundred was not in the training text;
                fewer are left out, with a warning.
        """
        return nats(self._fitted, self._judged(text)) / math.log(2)

    def evaluate(self, text: Source) -> dict[str, float]:
        """Return what `bpc` says, in bits and in nats, beside what the training text's frequencies of symbols need.

        Args:
            text: as in `fit`.

        Returns:
            "bits", "nats", "unigram_bits" per symbol; "symbols", how many were judged.
        """
        net, symbols = self._fitted, self._judged(text)
        found, counted = nats(net, symbols), self._unigram_nats(symbols, 1)
        bits, unigram_bits = found / math.log(2), counted / math.log(2)
        return {"bits": bits, "nats": found, "unigram_bits": unigram_bits, "symbols": len(symbols) - 1}

    def _judged(self, text: Source) -> Tensor:
        """The symbols of another text."""
        self._check_fitted()
        symbols = self.vocabulary_.encode_most(read_text(text, self.level).content)
        if len(symbols) < 2:
            raise DataError(f"text - {len(symbols)} symbols; need 2, the first is only read - give a longer text")
        return symbols

    def score(self, text: Source, y: None = None) -> float:
        """Return minus `bpc`: scikit-learn takes the greater for the better."""
        return -self.bpc(text)

    # ------------------------------------------------------------------ what is kept, and said

    @property
    def unit(self) -> str:
        """What a symbol is called."""
        return "byte" if self.level == "byte" else "character"

    def understood(self) -> tuple[str, ...]:
        """Return in words what the text was taken for."""
        self._check_fitted()
        return pages.understood(self)

    def _html(self, title: str) -> str:
        from carrousel.report.page import render

        return render(pages.page(self, title))

    def _preprocess(self) -> dict[str, Any]:
        return {
            "level": self.vocabulary_.level,
            "characters": self.vocabulary_.characters,
            "example": self.example_,
            "counts": self.counts_.tolist(),
        }

    def _restore(self, preprocess: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.vocabulary_ = Vocabulary(preprocess["level"], preprocess["characters"])
        self.example_, self.counts_ = preprocess["example"], np.array(preprocess["counts"], np.int64)
        net = self._net(self.vocabulary_)
        net.load_state_dict(dict(weights))
        self.net_ = net.eval()
