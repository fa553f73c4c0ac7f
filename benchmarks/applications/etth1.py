"""ETTh1, transformer temperatures: the forecaster's defaults, on Informer's split and in its scaled units.

    python -m benchmarks.applications.etth1 ETTh1.csv --horizon 24 [--univariate] --out result.json

12 months of 30 days to train on, 4 to validate, 4 to test; standardised by the training part; the mean squared error
over all windows of the test part, none left out. The horizon's 24 and more steps are forecast at once.
"""

import pandas as pd

from benchmarks.applications.rounds import Round, parser_of, rounds, say
from carrousel import Forecaster

ROWS = 20 * 30 * 24
#: (univariate, horizon) -> mean squared errors of Zhou et al. (2021), Informer, its tables of both kinds
PUBLISHED = {
    (False, 24): {"LSTMa": 0.650, "Informer": 0.577, "LSTnet": 1.293},
    (False, 48): {"LSTMa": 0.702, "Informer": 0.685},
    (False, 168): {"LSTMa": 1.212, "Informer": 0.931},
    (False, 336): {"LSTMa": 1.424},
    (False, 720): {"LSTMa": 1.960},
    (True, 24): {"LSTMa": 0.114, "Informer": 0.098, "DeepAR": 0.107, "ARIMA": 0.108},
    (True, 48): {"LSTMa": 0.193, "DeepAR": 0.162, "ARIMA": 0.175},
    (True, 168): {"LSTMa": 0.236, "DeepAR": 0.239, "ARIMA": 0.396},
    (True, 336): {"LSTMa": 0.590},
    (True, 720): {"LSTMa": 0.683},
}


def main() -> None:
    """Run it."""
    parser = parser_of("ETTh1", "ETTh1.csv")
    parser.add_argument("--horizon", type=int, default=24)
    parser.add_argument("--univariate", action="store_true", help="the oil temperature alone")
    asked = parser.parse_args()
    table = pd.read_csv(asked.data).iloc[:ROWS]
    naive: dict[str, float] = {}

    def one(seed: int) -> Round:
        forecaster = Forecaster(
            asked.horizon, val_fraction=0.2, test_fraction=0.2, seed=seed, threads=asked.threads, verbose=0
        )
        forecaster.fit(table, target="OT" if asked.univariate else "all")
        net, *others = forecaster.result_.rows
        naive.update({row.name: row.scaled_mse for row in others})
        history = forecaster.history_
        return Round(net.scaled_mse, history.best.validation, history.seconds, len(history.epochs))

    found = rounds(one, asked)
    published = {
        f"{name}: Zhou et al. (2021)": value
        for name, value in PUBLISHED.get((asked.univariate, asked.horizon), {}).items()
    }
    kind = "oil temperature alone" if asked.univariate else "all seven"
    say(f"ETTh1, {kind}, {asked.horizon} hours, scaled MSE", found, naive, published, asked)


if __name__ == "__main__":
    main()
