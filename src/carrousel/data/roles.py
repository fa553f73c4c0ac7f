"""Which column of a table is what: said by the user, or found where there is no doubt."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from carrousel.data.clock import is_time
from carrousel.data.numbers import is_number_like, remedy_of
from carrousel.errors import DataError, DataWarning, OptionError, did_you_mean

__all__ = [
    "ALL",
    "TIME_NAMES",
    "Roles",
    "check_columns",
    "find_roles",
    "listed",
    "names_of",
    "repeated",
    "row_numbers",
]

#: As target: every numeric column, as in a wide frame.
ALL = "all"

#: What columns of times are called.
TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds", "year", "month", "day", "hour", "step", "t")
_ID_NAMES = ("id", "unique_id", "series", "series_id", "item_id", "item", "name", "key", "symbol", "station")


@dataclass(frozen=True)
class Roles:
    """The columns and what they are for.

    Attributes:
        target: what is forecast; several are forecast at once.
        time: when a row was measured; None where the rows just follow each other.
        id: which series a row belongs to; None for a single one.
        past: inputs that are known up to now.
        future: inputs that are known ahead.
        static: inputs that are the same in all rows of a series.
    """

    target: tuple[str, ...]
    time: str | None = None
    id: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """All columns but time, id and target."""
        return (*self.past, *self.future, *self.static)


def find_roles(frame: Any, asked: Roles, is_known: bool = False) -> Roles:
    """Fill in time, id and target where they are not said.

    Args:
        frame: a narwhals DataFrame.
        asked: what the user says; an empty target is looked for, (ALL,) is every numeric column without a role.
        is_known: whether they were found in a table before this one, and are only looked up.

    Raises:
        DataError: a column is missing, or the target is in doubt.
        OptionError: a column has two roles.
    """
    columns = list(frame.columns)
    named = [name for name in (asked.time, asked.id, *asked.target, *asked.inputs) if name not in (None, ALL)]
    for name in named:
        _check_there(str(name), columns)
    _check_one_role(asked)
    if is_known:
        return asked
    time = asked.time or _find_time(frame, set(named))
    if time is None:
        _warn_of_times(frame, set(named))
    roles = replace(asked, time=time, id=asked.id or _find_id(frame, {*named, time}))
    if asked.target and asked.target != (ALL,):
        return roles
    free = [name for name in columns if name not in {roles.time, roles.id, *roles.inputs, *row_numbers(frame)}]
    numeric = [name for name in free if is_number_like(frame[name])]
    if not numeric:
        raise _no_target(frame, asked, roles, free)
    if asked.target == (ALL,):
        return replace(roles, target=tuple(numeric))
    numeric = [name for name in numeric if _has_values(frame[name])] or numeric
    if len(numeric) > 1:
        raise DataError(f"target - several columns could be it - choose --target (target=) among: {', '.join(numeric)}")
    return replace(roles, target=tuple(numeric))


def check_columns(there: Sequence[str], needed: Sequence[str]) -> None:
    """Check that a table has the columns that a model was fitted on.

    Args:
        there: the columns of the table.
        needed: the inputs, and what is forecast of them.

    Raises:
        DataError: some are missing.
    """
    known = set(there)
    gone = [name for name in needed if name not in known]
    if gone:
        many = f"{len(needed)} column{'s' if len(needed) > 1 else ''}"
        raise DataError(
            f"data - the model was fitted on {many} ({listed(needed)}); the data has {len(needed) - len(gone)} of them "
            f"(missing: {listed(gone)}) - add them"
        )


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas between them, of very many the first and the last.

    Example:
        >>> listed([f"c{k}" for k in range(1, 17)], most=4)
        'c1, c2, c3, ..., c16'
    """
    shown = names if len(names) <= most else [*names[: most - 1], "...", names[-1]]
    return ", ".join(shown)


def repeated(names: Sequence[str]) -> str:
    """Return the first name that is there a second time."""
    return next(name for k, name in enumerate(names) if name in names[:k])


def names_of(role: str, names: Sequence[str] | str) -> tuple[str, ...]:
    """Return one name or several as several.

    Raises:
        OptionError: they are no texts.
    """
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise OptionError(f"{role} - {names!r}, expected names of columns - give texts")
    return tuple(names)


def row_numbers(frame: Any) -> list[str]:
    """Return the column, if there is one, of row names without a name of its own, as R and pandas write it."""
    return [name for name in frame.columns[:1] if name in ("", "Unnamed: 0") and frame[name].n_unique() == len(frame)]


def _no_target(frame: Any, asked: Roles, roles: Roles, free: list[str]) -> DataError:
    """What is wrong where no column of numbers is left: they have other roles, or hold texts that are none."""
    what = _all_taken(frame, asked, "name another with {}, or leave it out")
    if not what and not free:  # a role that was found is to blame only where nothing else is
        what = _all_taken(frame, roles, "name it with --target (target=)")
    shown = []
    for name in free[:5]:
        for value in frame[name].drop_nulls().head(1).to_list():
            remedy = remedy_of(value)
            shown.append(f"'{name}' has '{value}'{remedy and ': ' + remedy}")
    what = what or "no column of numbers is left for it - name one with --target (target=)"
    return DataError(f"target - {what}{'; ' if shown else ''}{', '.join(shown)}")


def _all_taken(frame: Any, roles: Roles, todo: str) -> str:
    """What is said of columns of numbers that have a role; nothing if none has."""
    taken = {name: role for role, name in _pairs(roles) if role != "target" and is_number_like(frame[name])}
    if not taken:
        return ""
    names, kinds = ", ".join(f"'{name}'" for name in taken), list(dict.fromkeys(taken.values()))
    be, column = ("is", "column") if len(taken) == 1 else ("are", "columns")
    return (
        f"{names} {be} the only {column} of numbers, and {be} taken as {' and '.join(kinds)}: nothing remains to "
        f"forecast - {todo.format(' or '.join(f'--{kind} ({kind}=)' for kind in kinds))}"
    )


def _has_values(column: Any) -> bool:
    return not (column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()).all()


def _check_there(name: str, columns: Sequence[str]) -> None:
    if name not in columns:
        near = did_you_mean(name, columns) or " Name one of them."
        raise DataError(f"no column '{name}' - columns are {', '.join(columns)} -{near}")


def _check_one_role(roles: Roles) -> None:
    words = {"past": "a past covariate", "future": "a future covariate", "static": "a static covariate"}
    owner: dict[str, str] = {}
    for role, name in _pairs(roles):
        if owner.get(name) == role:
            raise OptionError(f"{role} - '{name}' is named twice - name it once")
        if name in owner:
            raise OptionError(
                f"{role} - '{name}' is the {owner[name]}; it cannot be {words.get(role, f'the {role}')} - "
                "give every column one role"
            )
        owner[name] = role


def _pairs(roles: Roles) -> Iterator[tuple[str, str]]:
    """Each role with each of its columns."""
    for role in ("target", "time", "id", "past", "future", "static"):
        given = getattr(roles, role)
        for name in (given,) if isinstance(given, str) else given or ():
            yield role, name


def _find_time(frame: Any, named: set[Any]) -> str | None:
    free = [name for name in frame.columns if name not in named]
    dates = [name for name in free if is_time(frame[name])]
    if not dates:
        dates = [name for name in free if _looks_like_dates(frame[name])]
    if len(dates) > 1:
        dates = [name for name in dates if name.lower() in TIME_NAMES] or dates
    if dates:
        return str(dates[0])
    known = [name for name in free if name.lower() in TIME_NAMES and _is_whole(frame[name])]
    return str(known[0]) if known else None


def _warn_of_times(frame: Any, named: set[Any]) -> None:
    """A column of texts that is called like times but is not read as such: its rows are taken as they come."""
    for name in (name for name in frame.columns if name not in named and name.lower() in TIME_NAMES[:5]):
        if str(frame[name].dtype) in ("String", "Object"):
            warnings.warn(
                f"column '{name}': '{frame[name][0]}' is not read as a time, rows are taken in order; name it with "
                "--time (time=) if it is one",
                DataWarning,
                stacklevel=4,
            )


def _looks_like_dates(column: Any) -> bool:
    if column.dtype.is_numeric() or str(column.dtype) not in ("String", "Object"):
        return False
    texts = [str(value) for value in column.head(20).to_list() if value is not None]
    if not texts or not all(len(text) >= 6 and sum(letter.isdigit() for letter in text) >= 4 for text in texts):
        return False
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = pandas.to_datetime(pandas.Series(texts), errors="coerce", utc=True, format="mixed")
    return bool(parsed.notna().mean() > 0.5)


def _is_whole(column: Any) -> bool:
    if not column.dtype.is_numeric():
        return False
    values = column.head(50).to_list()
    rising = all(later >= earlier for earlier, later in pairwise(values))
    return all(value == value and float(value).is_integer() for value in values if value is not None) and rising


def _find_id(frame: Any, named: set[Any]) -> str | None:
    """A column of texts that repeats, or one that is called id."""
    free = [name for name in frame.columns if name not in named]
    texts = [name for name in free if not frame[name].dtype.is_numeric() and not is_number_like(frame[name])]
    known = [name for name in free if name.lower() in _ID_NAMES and (name in texts or name.lower() != "t")]
    known = [name for name in known if not _numbers_rows(frame[name])]
    if known:
        return str(known[0])
    repeated = [
        name for name in texts if str(frame[name].dtype) != "Boolean" and frame[name].n_unique() <= len(frame) / 10
    ]
    return str(repeated[0]) if len(repeated) == 1 and _time_repeats(frame, named) else None


def _numbers_rows(column: Any) -> bool:
    """Whether a column has another value in each row."""
    return (column.dtype.is_numeric() or str(column.dtype) == "String") and column.n_unique() == len(column)


def _time_repeats(frame: Any, named: set[Any]) -> bool:
    times = [name for name in named if name in frame.columns]
    return any(frame[name].n_unique() < len(frame) for name in times)
