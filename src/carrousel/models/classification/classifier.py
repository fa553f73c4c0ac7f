"""Classify sequences."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from torch import Tensor
from torch.nn.functional import cross_entropy

from carrousel.cell import Cell
from carrousel.data import scaling
from carrousel.data.answer import answer
from carrousel.data.audio import Audio
from carrousel.data.labelled import Columns
from carrousel.data.ragged import Ragged
from carrousel.errors import OptionError
from carrousel.learn import History, InOrder, Training, fit
from carrousel.learn.fit import checkpoint_of
from carrousel.models import own_cell
from carrousel.models.classification import classes
from carrousel.models.classification import page as pages
from carrousel.models.classification.data import Part, Reading, example_of, ids_of
from carrousel.models.classification.examples import Bucketed, losses, of_similar_length
from carrousel.models.classification.net import ClassifyNet
from carrousel.models.classification.options import check_options
from carrousel.models.classification.results import result
from carrousel.models.room import enough_memory

__all__ = ["Classifier"]

#: With epochs="auto": about as many updates, in this range of epochs.
_UPDATES, _FEWEST, _MOST = 1000, 12, 60
#: With refit="auto": at most so many sequences.
_REFITTED = 2000


class Classifier(ClassifierMixin, Reading):
    """Classify sequences of any lengths, or each of their steps.

    An estimator of scikit-learn whose X are sequences: a list of (T, C) arrays, an array (N, T, C), one series per row
    of an array (N, T), a table, or a file. What is said of one sequence does not depend on the others of the call.

    Args:
        hidden_size: hidden units of each layer and direction.
        num_layers: recurrent layers.
        bidirectional: whether a second set of weights reads backwards.
        pool: "mean", "last" or "attention": what a sequence's scores are read from.
        cell: a name of `carrousel.cells.names()`, "file.py:name" of your own, or a Cell.
        dropout: probability of dropout between layers and before the scores.
        noise: standard deviation of what is added in training to each number, in units of the scaled channel.
        shift: the same, added to all steps of a channel alike.
        class_weight: None; "balanced" for classes that count alike however rare they are; or class -> weight.
        scaler: "standard", "robust" or "none"; fitted on the training part, channel by channel.
        missing: "error"; "ffill", "interpolate"; or "mask", which also tells the net where a number was missing.
        layout: "NTC", "NCT" for channels before steps, or "auto".
        val_fraction: part of each class that is held out, to stop early and to measure; 0 for none.
        refit: whether to train anew on all after that, as long as it was good for the part; half of `max_seconds` is
            for each. "auto" for up to 2,000 sequences: there a part is missed, and time is short.
        lr: highest learning rate of AdamW.
        batch_size: sequences of an update.
        epochs: at most so many passes over the data; "auto" for about 1,000 updates in 12 to 60 epochs.
        patience: stop after so many epochs without a better validation; None never does.
        max_seconds: stop training after this time, in seconds.
        device: "auto", "cpu", "cuda"...
        seed: of weights, order and dropout; the same seed gives the same result on the same machine.
        threads: of torch; None for as many as it has.
        verbose: 0 says nothing while it trains.

    Attributes:
        classes_: the classes, in order.
        n_features_in_: channels.
        metrics_: "validation", the scores of what was held out, of the net that did not see it.
        history_: the epochs of that net; again_, epochs and seconds of the one that was trained on all.
        net_: the trained ClassifyNet.
        per_step_: whether each step has a label of its own.

    Raises:
        DataError: something is wrong with the data.
        OptionError, OptionTypeError, UnknownNameError: an option can not be.
        NotFittedError: `fit` was not called.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = [np.cumsum(rng.normal(way, 1.0, (rng.integers(5, 20), 1)), 0) for way in (-1, 1) * 20]
        >>> classifier = Classifier(hidden_size=8, verbose=0).fit(X, ["falls", "rises"] * 20)
        >>> str(classifier.predict([np.arange(9.0)])[0])
        'rises'

    Source:
        Graves & Schmidhuber (2005), Framewise phoneme classification with bidirectional LSTM.
    """

    kind = "classify"

    def __init__(
        self,
        *,
        hidden_size: int = 96,
        num_layers: int = 2,
        bidirectional: bool = True,
        pool: str = "mean",
        cell: str | Cell = "lstm",
        dropout: float = 0.5,
        noise: float = 0.1,
        shift: float = 0.3,
        class_weight: Any = None,
        scaler: str = "standard",
        missing: str = "error",
        layout: str = "auto",
        val_fraction: float = 0.1,
        refit: Any = "auto",
        lr: float = 2e-3,
        batch_size: int = 32,
        epochs: Any = "auto",
        patience: int | None = 30,
        max_seconds: float | None = None,
        device: str = "auto",
        seed: int = 0,
        threads: int | None = None,
        verbose: int = 1,
    ) -> None:
        self.hidden_size, self.num_layers, self.bidirectional = hidden_size, num_layers, bidirectional
        self.pool, self.cell, self.dropout, self.noise, self.shift = pool, cell, dropout, noise, shift
        self.class_weight, self.scaler, self.missing, self.layout = class_weight, scaler, missing, layout
        self.val_fraction, self.refit, self.epochs = val_fraction, refit, epochs
        self.lr, self.batch_size = lr, batch_size
        self.patience, self.max_seconds, self.device, self.seed = patience, max_seconds, device, seed
        self.threads, self.verbose = threads, verbose

    # ------------------------------------------------------------------ fit

    @enough_memory()
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        label: str | None = None,
        id: str | None = None,
        time: str | None = None,
        channels: int = 1,
        audio: Audio | None = None,
        val: Any = None,
        test: Any = None,
        folder: Path | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn.

        Args:
            X: sequences; or a frame or path, as `carrousel.data.labelled.read` takes them, that has the labels too.
            y: one label per sequence; or one per step, a list of (T,) arrays.
            label, id, time: columns of a table; found if there is no doubt. Rows of one id are a sequence, its rows in
                the order of time; without id each row is a sequence.
            channels: of a table without id, whose columns are step after step: 2 for x1, y1, x2, y2...
            audio: how recordings are read.
            val: what to stop early by and measure on, instead of a part of X: (X, y), or a table or path.
            test: what to measure on at the end, likewise; what is wrong with it is said before training.
            folder: where a checkpoint is kept after every epoch.
            resume: go on from that checkpoint.

        Returns:
            Itself.
        """
        check_options(self)
        own_cell.find(self.cell)
        self._training_of(1)  # says what is wrong with it
        self.audio_ = audio or Audio()
        said = [name for name, column in (("label", label), ("id", id), ("time", time)) if column is not None]
        if y is not None and said:
            raise OptionError(
                f"y - the labels are beside X, and {', '.join(said)} names a column of a table that has them too - put "
                "the labels into it as a column, or give X as a list of sequences"
            )
        asked = Columns(label=label, id=id, time=time, interleaved=channels)
        found = self._read(X, y, asked)
        self.columns_, self.names_ = found.columns, found.names
        if found.rate is not None:
            self.audio_ = replace(self.audio_, rate=found.rate)
        self.masked_ = np.asarray(np.isnan(found.sequences.steps).any(0) & (self.missing == "mask"))
        self.n_features_in_ = found.sequences.channels
        x = self._complete(found)
        labels, self.per_step_ = classes.labels_of(found.labels, x)
        self.classes_ = classes.find_classes(labels)
        codes = classes.encode(labels, self.classes_, "y")
        training, validation, held = self._parts((x, codes), ids_of(found), val)
        last = None if test is None else self._pair(test)
        tested = None if last is None else self._true(last, "test")
        self.lengths_ = (int(x.lengths.min()), int(x.lengths.max()))
        self.counts_ = {"train": len(training[0]), "validation": 0 if validation is None else len(validation[0])}
        self.metrics_, self.again_, self.report_, self.kept_ = {}, {}, "", {}
        self.history_ = self._learn(training, validation, self._training_of(len(x)), folder, resume)
        if validation is not None:
            self._measure("validation", held, *validation)
            if self._refits(len(x)) and val is None:
                self._learn_all((x, codes), folder, resume)
        self.example_ = example_of(*(validation or training), self.per_step_)
        if last is not None and tested is not None:
            self._measure("test", ids_of(last), *tested)
        return self

    def _learn(
        self, training: Part, validation: Part | None, settings: Training, folder: Path | None, resume: bool
    ) -> History:
        """Train a new net."""
        x, codes = training
        self.scale_ = scaling.fit_scale(x.steps, np.array([0]), np.array([len(x.steps)]), self.scaler)
        self.majority_ = int(np.bincount(codes, minlength=len(self.classes_)).argmax())
        weights = classes.class_weights(self.class_weight, codes, self.classes_)
        net = self._new_net(x.channels)
        examples = Bucketed(self._examples(x, codes), self._batch_of_all, self.seed)
        held = None if validation is None else InOrder(self._examples(*validation), 4 * self.batch_size)
        history = fit(net, losses(weights), examples, held, settings, folder=folder, resume=resume)
        self.net_ = net
        return history

    def _learn_all(self, everything: Part, folder: Path | None, resume: bool) -> None:
        """Train anew on what was held out too, as long as it was good for the part; unless the user has had enough."""
        part = self.history_
        if part.stopped in ("interrupted", "not finite"):
            return
        epochs = part.best.epoch if part.stopped == "patience" else len(part.epochs)
        kept = self.net_, self.scale_, self.majority_
        settings = replace(self._training_of(len(everything[0])), epochs=epochs, patience=None)
        below = None if folder is None else folder / "all"
        checkpoint = checkpoint_of(below)
        goes_on = resume and checkpoint is not None and checkpoint.exists()
        again = self._learn(everything, None, settings, below, goes_on)
        if again.stopped in ("interrupted", "not finite"):
            part.stopped = again.stopped
            self.net_, self.scale_, self.majority_ = kept
        else:
            self.again_ = {"epochs": len(again.epochs), "seconds": again.seconds}

    def _training_of(self, sequences: int) -> Training:
        """How to train; the number of epochs depends on that of the sequences. Half of the time is for the refit."""
        settled = copy.copy(self)
        batches = -(-sequences // self.batch_size) if isinstance(self.batch_size, int) and self.batch_size > 0 else 1
        if self.epochs == "auto":
            settled.epochs = min(_MOST, max(_FEWEST, -(-_UPDATES // batches)))
        training = settled._training()
        if self._refits(sequences) and self.val_fraction and training.max_seconds:
            training = replace(training, max_seconds=training.max_seconds / 2)
        return training

    def _refits(self, sequences: int) -> bool:
        return sequences <= _REFITTED if self.refit == "auto" else bool(self.refit)

    def _new_net(self, inputs: int) -> ClassifyNet:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return ClassifyNet(
                own_cell.find(self.cell),
                inputs,
                len(self.classes_),
                self.hidden_size,
                self.num_layers,
                self.bidirectional,
                "none" if self.per_step_ else self.pool,
                self.dropout,
                self.noise,
                self.shift,
            )

    # ------------------------------------------------------------------ predict

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each sequence, or of each step.

        Args:
            X: as in `fit`; a table needs no label.

        Returns:
            An array (sequence,); with one label per step a list of (step,) arrays. For a table, one of its kind with
            the columns of id and label.
        """
        found = self._new(X)
        guesses = self.classes_[self._probabilities(self._complete(found)).argmax(1)]
        return answer(found, {self._label_name: guesses}, self.per_step_)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of `classes_`.

        Args:
            X: as in `fit`; a table needs no label.

        Returns:
            An array (sequence, class); with one label per step a list of (step, class) arrays. For a table, one of its
            kind with the columns of id, and `p_<class>` for each class.
        """
        found = self._new(X)
        probabilities = self._probabilities(self._complete(found))
        if found.native is None and not found.is_file:
            return answer(found, {"": probabilities}, self.per_step_)
        columns = zip(self.classes_.tolist(), probabilities.T, strict=True)
        return answer(found, {f"p_{name}": values for name, values in columns}, self.per_step_)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the part of labels that is predicted.

        Args:
            X: as in `fit`.
            y: labels, unless they are in X.
            sample_weight: how much each label counts.
        """
        x, codes = self._true(self._new(X, y, True), "test")
        return float(np.average(self._probabilities(x).argmax(1) == codes, weights=sample_weight))

    def evaluate(self, X: Any, y: Any = None) -> dict[str, Any]:
        """Return the scores on data with labels, as `metrics_` has them for what was held out; they are added there.

        Args:
            X: as in `fit`.
            y: labels, unless they are in X.
        """
        x, codes = self._true(self._new(X, y, True), "test")
        self.metrics_["test"] = result(self.classes_, codes, self._probabilities(x), self.majority_)
        return dict(self.metrics_["test"])

    @property
    def _label_name(self) -> str:
        return (self.columns_ and self.columns_.label) or "label"

    def _measure(self, part: str, ids: NDArray[Any], x: Ragged, codes: NDArray[np.int64]) -> None:
        """Keep the scores of data with labels, and each label beside what was said; of the last such data."""
        probabilities = self._probabilities(x)
        self.metrics_[part] = result(self.classes_, codes, probabilities, self.majority_)
        owners = ids[x.owners] if self.per_step_ else ids
        self.keep("predictions.csv", pages.predictions(owners, codes, probabilities, self.classes_))

    def _probabilities(self, x: Ragged) -> NDArray[np.float64]:
        """(sequence, class), or with one label per step (step, class)."""
        examples, rows = self._examples(x), x.steps_of if self.per_step_ else np.asarray
        found = np.empty((len(x.steps) if self.per_step_ else len(x), len(self.classes_)))
        with torch.inference_mode():
            for part in of_similar_length(x.lengths):
                batch = examples.batch(part)
                scores = self.net_(batch.x, batch.lengths)
                if self.per_step_:  # (time, batch, class) -> the steps of one sequence after the other
                    scores = torch.cat([scores[:length, k] for k, length in enumerate(batch.lengths)])
                found[rows(part.numpy())] = scores.double().softmax(-1).numpy()
        return found

    # ------------------------------------------------------------------ what is kept, and said

    def understood(self) -> tuple[str, ...]:
        """Return in words what the data was taken for."""
        self._check_fitted()
        return pages.understood(self)

    def _html(self, title: str) -> str:
        return pages.html(self, title)

    def _inside(self) -> tuple[Any, str] | None:
        """What the layers do over the example, and what it is; a loaded classifier has none."""
        from carrousel.report.inside import look_inside

        if not hasattr(self, "example_"):
            return None
        x, codes = self.example_
        batch = self._examples(x, codes).batch(torch.tensor([0]))
        end = -1 if self.per_step_ else slice(None)

        def error(output: Tensor) -> Tensor:
            scores = self.net_.read_out(output, batch.lengths)  # type: ignore[operator]
            return cross_entropy(scores[end], batch.target[end])

        name = self.classes_[codes[-1]]
        return look_inside(self.net_.recurrent, batch.x, error), f"a sequence of class {name}"  # type: ignore[arg-type]

    def _saved_params(self) -> dict[str, Any]:
        params = super()._saved_params()
        if isinstance(self.class_weight, Mapping):  # JSON knows no other keys
            params["class_weight"] = {str(name): float(weight) for name, weight in self.class_weight.items()}
        return params

    def _restore(self, preprocess: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self._read_kept(preprocess)
        self.net_ = self._new_net(self.n_features_in_ + int(self.masked_.sum()))
        self.net_.load_state_dict(weights)
        self.net_.eval()
