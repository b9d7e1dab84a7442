"""Values of the `updated_at` column as positions: compared, moved back, and checked for age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rag_core.errors import InvalidInput, Reason

Position = str | int | float

COARSE_SECONDS = 2.0
"""A column without fractions of a second looks the same after two edits within one; such a row is read once more."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d")


def is_number(value: Position) -> bool:
    """Return whether the column is a counter instead of a time."""
    return not isinstance(value, str) or re.fullmatch(r"-?\d{1,30}", value) is not None


def moment(value: object) -> datetime | None:
    """The value as a time; `None` for numbers and for what no calendar has (infinity, years before Christ)."""
    if not isinstance(value, str) or not _TIME.match(value):
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def lower(one: Position | None, other: Position | None) -> Position | None:
    """The earlier of two positions of one column; the one that is known when the other is not."""
    if one is None or other is None:
        return one if other is None else other
    first, second = moment(one), moment(other)
    if first is not None and second is not None:
        return one if first <= second else other
    if is_number(one) and is_number(other):
        return one if float(one) <= float(other) else other
    return one


def moved_back(value: Position, overlap: int) -> Position:
    """The position `overlap` seconds (or numbers) earlier, spelled as the column spells it."""
    if overlap == 0:
        return value
    if is_number(value):
        return str(int(value) - overlap) if isinstance(value, str) else value - overlap
    found = moment(value)
    if found is None or not isinstance(value, str):
        return value
    try:
        earlier = found - timedelta(seconds=overlap)
    except OverflowError:
        return value
    return spelled(earlier, value)


def spelled(when: datetime, like: str) -> str:
    """A time as a column spells times: with the separator, the precision and the zone of `like`, which is one."""
    if len(like) == len("2026-01-01"):
        return when.date().isoformat()
    zone = datetime.fromisoformat(like.strip()).tzinfo
    there = when.astimezone(zone or UTC)
    fraction = re.search(r"\.(\d+)", like)
    precision = "microseconds" if fraction else "seconds"
    plain = there.replace(tzinfo=None).isoformat(like[10], precision)
    offset = there.isoformat(like[10], precision)[len(plain) :]
    if fraction:
        plain = plain[: len(plain) - 6 + min(6, len(fraction.group(1)))]
    if zone is None:
        return plain
    return plain + ("Z" if like.endswith("Z") else offset)


def is_young(value: object, now: str) -> bool:
    """Return whether a row with this position may have been changed again with the same position."""
    found, clock = moment(value), moment(now)
    if found is None or clock is None or "." in str(value):
        return False
    return abs((clock - found).total_seconds()) < COARSE_SECONDS


# --------------------------------------------------------------------------------------------------------------------
# Whether the `updated_at` column can order changes, and which of its values lie too far ahead to be a position.


DAY_SECONDS = 86_400
_UNITS = (1, 10**3, 10**6, 10**9)
"""A Unix time in seconds, milli-, micro- or nanoseconds."""
_EARLIEST = 631_152_000
"""1990: a column whose lowest number is later than that, in a unit, and not in the future, is a time in that unit."""
_LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}


def furthest_number(lowest: object, type_name: str, now: float) -> int:
    """The largest number that is taken for a position: a Unix time tomorrow, or what no counter reaches.

    `lowest` is the smallest value of the column, which shows the unit; `now` is a Unix time.
    """
    tomorrow = int(now) + DAY_SECONDS
    value = float(lowest) if isinstance(lowest, str | int | float) and is_number(lowest) else 0.0
    unit = next((unit for unit in _UNITS if _EARLIEST * unit <= value <= tomorrow * unit), _UNITS[-1])
    return min(tomorrow * unit, _LARGEST.get(type_name, 2**63) - 1)


def require_order(values: int, numbers: int, times: int, with_t: int, with_space: int) -> None:
    """Refuse text that does not sort as what it means, given how many of the values are what.

    Raises `InvalidInput` (`CURSOR_NOT_USABLE`).
    """
    if values in (numbers, times) and not (with_t and with_space):
        return
    raise InvalidInput(
        Reason.CURSOR_NOT_USABLE,
        "updated_at: the column has text that does not sort as a time ('9' comes after '10'); use a time or an "
        "integer column, or a `query` that casts it",
    )
