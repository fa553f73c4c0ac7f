"""Forecast series: from rows to a fitted network, its intervals and the baselines beside it."""
