"""Whether the `updated_at` column can order changes, and which of its values lie too far ahead to be a position.

A row dated years ahead, or a number that nothing counts up to, would be the newest position for ever: nothing written
later would be seen. Such rows are left out of the position and read at every run.
"""

from __future__ import annotations

from rag_assets.connectors.sql.positions import is_number
from rag_core.errors import InvalidInput, Reason

DAY_SECONDS = 86_400
_UNITS = (1, 10**3, 10**6, 10**9)
"""A Unix time in seconds, milli-, micro- or nanoseconds."""
_EARLIEST = 631_152_000
"""1990: a column whose lowest number is later than that, in a unit, and not in the future, is a time in that unit."""
_LARGEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}


def furthest_number(lowest: object, type_name: str, now: float) -> int:
    """The largest number that is taken for a position: a Unix time tomorrow, or what no counter reaches.

    `lowest` is the smallest value of the column, which tells the unit; `now` is a Unix time.
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
