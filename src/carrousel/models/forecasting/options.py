"""The options of a forecaster that neither its net nor its training checks, before anything is read."""

from typing import TYPE_CHECKING

from carrousel.data.missing import check_way
from carrousel.data.scaling import check_kind
from carrousel.data.windows import check_subtracted
from carrousel.errors import OptionError
from carrousel.learn.settings import number
from carrousel.models.forecasting.plan import check_horizon
from carrousel.models.forecasting.quantiles import check_levels
from carrousel.nn.checks import flag, whole_number

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["check_options"]


def check_options(asked: "Forecaster") -> None:
    """Check the options of a forecaster.

    Args:
        asked: has them as attributes.

    Raises:
        OptionError: one has a value that can not be.
        OptionTypeError: one is of the wrong type.
    """
    check_horizon(asked.horizon)
    check_levels(asked.level)
    check_way(asked.missing)
    check_kind(asked.scaler)
    check_subtracted(asked.subtract)
    where = "Forecaster"
    for name in ("hidden_size", "num_layers"):
        whole_number(where, name, getattr(asked, name), 1)
    for name in ("dropout", "weight_decay"):
        number(where, name, getattr(asked, name))
    if not 0 <= asked.dropout < 1:
        raise OptionError(f"{where} - dropout is {asked.dropout}, expected at least 0 and below 1 - give 0 for none")
    if asked.calendar not in ("auto", True, False):
        raise OptionError(f"{where} - calendar is {asked.calendar!r}, expected 'auto' or False - choose one")
    flag(where, "linear", asked.linear)
