"""The forecaster's defaults on ETTh1's oil temperature, 24 hours ahead, trained for 1, 2, 4 and 8 epochs.

Each is a training of its own, for the learning rate falls towards its end; 8 is the default. It begins at ridge
regression, whose seconds count.
"""

import time
from typing import Any

import pandas as pd

from benchmarks.applications.peers.kept import ETTH1, arguments, etth1, keep, latency, over_seeds
from carrousel import Forecaster

HORIZON = 24


def one(table: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Train and measure."""
    train, validation, _ = ETTH1
    curve = []
    for epochs in (1, 2, 4, 8):
        forecaster = Forecaster(
            HORIZON, epochs=epochs, seed=seed, val_fraction=0.2, test_fraction=0.2, threads=1, device="cpu", verbose=0
        )
        began = time.process_time()
        forecaster.fit(table)
        seconds = time.process_time() - began
        held = table.iloc[train - forecaster.plan_.context : train + validation]
        curve.append([epochs, seconds, forecaster.evaluate(held)["rows"][0]["scaled_mse"]])
    new = table.tail(200)
    return {
        "weights": sum(weight.numel() for weight in forecaster.net_.parameters()),
        "curve": curve,
        "validation": curve[-1][2],
        "test": forecaster.result_.rows[0].scaled_mse,
        "test windows": forecaster.result_.windows,
        "seconds in all": seconds,
        "seconds of predict": latency(lambda: forecaster.predict(new)),
    }


def main() -> None:
    """Run it."""
    asked = arguments("ETTh1.csv")
    times, values = etth1(asked.data)
    table = pd.DataFrame({"ds": times, "y": values})
    Forecaster(3, context=24, epochs=1, verbose=0).fit(values[:400])  # loads what is loaded on first use
    found = {
        "settings": "defaults",
        "curve": "epochs, seconds of a whole fit with so many, validation MSE",
        **over_seeds(lambda seed: one(table, seed), asked.seeds),
    }
    keep(asked.out, "ETTh1, oil temperature, 24 hours, scaled MSE", "carrousel", found, ["carrousel"])


if __name__ == "__main__":
    main()
