"""Series that ship with other libraries: the forecaster's defaults, 24 steps ahead, on the last 15 % of the rows.

    python -m benchmarks.applications.small_series co2.csv --out result.json

- co2.csv, statsmodels' datasets/co2: carbon dioxide over Mauna Loa, week by week from 1958 to 2001, 59 weeks missing;
- sunspots.csv, statsmodels' datasets/sunspots: a number a year, 1700 to 2008;
- sf-temps.csv, vega_datasets' _data: San Francisco's temperatures in 2010, hour by hour. They are 30-year normals, not
  measurements: a smooth curve, which a linear function continues almost without an error.

Missing values are interpolated and not measured. The error is the mean absolute one, in the units of the file. No
number of another LSTM on these parts is generally referred to.
"""

from benchmarks.applications.rounds import Round, parser_of, rounds, say
from carrousel import Forecaster
from carrousel.data.files import read_table


def main() -> None:
    """Run it."""
    asked = parser_of("Small series", "co2.csv, sunspots.csv or sf-temps.csv").parse_args()
    table = read_table(asked.data)
    naive: dict[str, float] = {}
    held: list[float] = []

    def one(seed: int) -> Round:
        forecaster = Forecaster(missing="interpolate", seed=seed, threads=asked.threads, verbose=0).fit(table)
        net, *others = forecaster.result_.rows
        naive.update({row.name: row.mae for row in others})
        held.append(net.coverage["90"])
        history = forecaster.history_
        return Round(net.mae, history.best.validation, history.seconds, len(history.epochs))

    found = rounds(one, asked)
    title = f"{asked.data.stem}, 24 steps, MAE"
    say(title, found, naive, {}, asked, coverage_of_90=held, rows=len(table))


if __name__ == "__main__":
    main()
