"""What a saved forecaster keeps besides its weights, as JSON has it, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.data.container import Container
from carrousel.data.frequency import Frequency
from carrousel.data.roles import Roles
from carrousel.data.series import Reading
from carrousel.models.forecasting import memory
from carrousel.models.forecasting.fitting import linear_from
from carrousel.models.forecasting.plan import Plan
from carrousel.models.forecasting.preparation import Preparation

if TYPE_CHECKING:
    from carrousel.models.forecasting.forecaster import Forecaster

__all__ = ["kept_of", "restore"]


def kept_of(forecaster: "Forecaster") -> dict[str, Any]:
    """Return what a fitted forecaster knows of its data."""
    reading, container = forecaster.reading_, forecaster.container_
    return {
        "roles": asdict(reading.roles),
        "frequency": asdict(forecaster.memory_.frequency),
        "time_format": reading.time_format,
        "categories": dict(reading.categories or {}),
        "container": {name: getattr(container, name) for name in ("kind", "columns", "backend", "times")},
        "plan": asdict(forecaster.plan_),
        "preparation": forecaster.preparation_.to_dict(),
        "margin": forecaster.margin_.tolist(),
        "linear": {"weights": forecaster.linear_.weights.tolist(), "ridge": forecaster.linear_.ridge},
        "naive_errors": forecaster.naive_errors_.tolist(),
        "understood": list(forecaster.understood_),
        "memory": memory.to_dict(forecaster.memory_),
    }


def restore(forecaster: "Forecaster", kept: Mapping[str, Any]) -> None:
    """Give a forecaster what was kept."""
    roles = Roles(**_with_tuples(kept["roles"]))
    frequency = Frequency(**kept["frequency"])
    reading = Reading(roles, frequency, forecaster.missing, kept["time_format"], kept["categories"])
    forecaster.reading_, forecaster.container_ = reading, Container(None, **kept["container"])
    forecaster.plan_ = Plan(**_with_tuples(kept["plan"]))
    forecaster.preparation_ = Preparation.from_dict(kept["preparation"])
    forecaster.margin_, forecaster.naive_errors_ = np.array(kept["margin"]), np.array(kept["naive_errors"])
    forecaster.linear_ = linear_from(kept["linear"])
    forecaster.understood_ = tuple(kept["understood"])
    forecaster.memory_ = memory.from_dict(kept["memory"], reading, forecaster.container_)


def _with_tuples(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
