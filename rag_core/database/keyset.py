"""Pages of a list by the position of their first row, not by counting the rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, tuple_


def page_of(
    statement: Select[Any],
    columns: Sequence[ColumnElement[Any]],
    *,
    after: Sequence[Any] | None,
    limit: int | None,
    newest_first: bool = False,
) -> Select[Any]:
    """Order the rows by `columns`, which name each row, and take those behind the position `after`."""
    statement = statement.order_by(*(column.desc() if newest_first else column for column in columns)).limit(limit)
    if after is None:
        return statement
    here, there = tuple_(*columns), tuple_(*after, types=[column.type for column in columns])
    return statement.where(here < there if newest_first else here > there)
