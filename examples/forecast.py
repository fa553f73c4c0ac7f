"""Forecast a day of hourly temperatures, with a band. Run it with `python examples/forecast.py`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import carrousel
from carrousel.datasets import temperature_table

table = temperature_table()  # any table: a column of times, one or more of numbers; pandas or polars
forecaster = carrousel.Forecaster(horizon=24, level=90, missing="interpolate", epochs=2, verbose=0)
forecaster.fit(table, target="celsius", time="time")
print(forecaster.metrics_["verdict"])  # beside forecasts that cost nothing
print(forecaster.predict().head())

with TemporaryDirectory() as folder:
    forecaster.save(Path(folder) / "run")  # plain files, no pickle
    again = carrousel.load(Path(folder) / "run")  # goes on where the table ended; new rows alone go on from there
    print(again.predict(horizon=3))
