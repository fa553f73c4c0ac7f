"""neuralforecast's LSTM on ETTh1's oil temperature, 24 hours ahead, as its defaults have it.

1,000 steps of 128 windows of 72 hours, 2 x 128 cells, a network for all 24 hours at once, mean absolute error. What is
not its default: the validation loss is the squared error, looked at every 50 steps, so that both sides are measured
alike; no progress bar, no log.
"""

import time
import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MSE
from neuralforecast.models import LSTM
from pytorch_lightning import Callback, LightningModule, Trainer

from benchmarks.applications.peers.kept import ETTH1, arguments, etth1, keep, latency, over_seeds

HORIZON = 24


class Clock(Callback):
    """Seconds of training at every look at the validation part, without the looks."""

    seconds = 0.0
    curve: ClassVar[list[list[float]]] = []  # of the class: neuralforecast trains copies

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin."""
        self.began = time.process_time()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop."""
        if trainer.sanity_checking:
            return
        self.seconds += time.process_time() - self.began

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write it down and go on."""
        if trainer.sanity_checking:
            return
        loss = float(trainer.callback_metrics["ptl/val_loss"])
        self.curve.append([trainer.global_step, self.seconds, loss])
        self.began = time.process_time()


def one(table: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Train and measure."""
    Clock.curve = []
    model = LSTM(
        h=HORIZON, random_seed=seed, valid_loss=MSE(), val_check_steps=50, callbacks=[Clock()],
        accelerator="cpu", enable_progress_bar=False, logger=False, enable_checkpointing=False,
    )  # fmt: skip
    forecaster = NeuralForecast(models=[model], freq="h")
    began = time.process_time()
    said = forecaster.cross_validation(table, n_windows=None, step_size=1, val_size=ETTH1[1], test_size=ETTH1[2])
    seconds = time.process_time() - began
    new = table.tail(200)
    return {
        "weights": sum(weight.numel() for weight in model.parameters()),
        "curve": Clock.curve,
        "validation": Clock.curve[-1][2],
        "test": float(np.mean((said["y"] - said["LSTM"]) ** 2)),
        "test windows": int(said["cutoff"].nunique()),
        "seconds in all": seconds,
        "seconds of predict": latency(lambda: forecaster.predict(df=new)),
    }


def main() -> None:
    """Run it."""
    warnings.simplefilter("ignore")
    asked = arguments("ETTh1.csv")
    times, values = etth1(asked.data)
    table = pd.DataFrame({"unique_id": "oil", "ds": times, "y": values})
    found = {
        "settings": "defaults",
        "curve": "steps, seconds of training without looks, validation MSE",
        **over_seeds(lambda seed: one(table, seed), asked.seeds),
    }
    keep(asked.out, "ETTh1, oil temperature, 24 hours, scaled MSE", "neuralforecast LSTM", found, ["neuralforecast"])


if __name__ == "__main__":
    main()
