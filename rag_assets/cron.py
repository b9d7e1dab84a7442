"""Checks a cron expression without importing Dagster, so that `rag source check` stays light."""

from __future__ import annotations

import re

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_MACROS = frozenset({"@hourly", "@daily", "@weekly", "@monthly", "@yearly"})
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,3}))?")


def cron_problem(expression: str) -> str | None:
    """What is wrong with a cron expression, `None` when it is one Dagster accepts."""
    if expression in _MACROS:
        return None
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        return f"a cron expression has 5 fields, this has {len(parts)}"
    for text, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        if not all(_part_ok(part, low, high, names) for part in text.split(",")):
            return f'the {name} field "{text}" is not within {low}-{high}'
    return None


def _part_ok(part: str, low: int, high: int, names: dict[str, int]) -> bool:
    match = _PART.fullmatch(part.lower())
    if match is None or match["step"] == "0":
        return False
    if match["first"] == "*":
        return match["last"] is None
    ends = [names.get(word, int(word) if word.isdigit() else -1) for word in (match["first"], match["last"]) if word]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)
