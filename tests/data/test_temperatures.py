"""The temperatures that come with the package."""

from datetime import timedelta

import numpy as np

from carrousel.data.temperatures import hourly_temperatures


def test_hours_of_2013_without_a_gap() -> None:
    celsius, start = hourly_temperatures()
    assert celsius.shape == (8730,)
    assert celsius.dtype == np.float64
    assert start.utcoffset() == timedelta(0)
    end = start + timedelta(hours=len(celsius) - 1)
    assert (start.isoformat(), end.isoformat()) == ("2013-01-01T06:00:00+00:00", "2013-12-30T23:00:00+00:00")


def test_missing_hours_are_nan() -> None:
    missing = np.flatnonzero(np.isnan(hourly_temperatures().celsius))
    assert len(missing) == 24
    assert np.diff(missing).min() == 1


def test_values_are_tenths_of_a_degree_and_those_of_new_york() -> None:
    celsius, _ = hourly_temperatures()
    known = celsius[~np.isnan(celsius)]
    np.testing.assert_allclose(known, np.round(known, 1), rtol=0, atol=0)
    assert (known.min(), known.max()) == (-11.1, 37.2)


def test_clock_is_right_all_year() -> None:
    """The warmest hour of the mean day is in the early afternoon (18 to 20 UTC), summer and winter."""
    celsius, start = hourly_temperatures()
    hour = (np.arange(len(celsius)) + start.hour) % 24
    for part in np.array_split(np.arange(len(celsius)), 12):
        day = [np.nanmean(celsius[part][hour[part] == h]) for h in range(24)]
        assert 18 <= int(np.argmax(day)) <= 20
