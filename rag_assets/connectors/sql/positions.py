"""Values of the `updated_at` column as places in time (or in a sequence): compared, moved back, told young from old."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

Position = str | int | float

COARSE_SECONDS = 2.0
"""A column without fractions of a second looks the same after two edits within one; such a row is read once more."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d")


def is_number(value: Position) -> bool:
    """Whether the column counts instead of telling the time."""
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
    """Whether a row with this position may have been changed again without the position telling."""
    found, clock = moment(value), moment(now)
    if found is None or clock is None or "." in str(value):
        return False
    return abs((clock - found).total_seconds()) < COARSE_SECONDS
