"""Pages of a list: followed to the last one, and never in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from rag_core.errors import Reason, Unavailable

Position = TypeVar("Position")
Row = TypeVar("Row")


def all_pages(read: Callable[[Position | None], tuple[Iterable[Row], Position | None]], what: str) -> Iterator[Row]:
    """The rows of every page. `read` takes a position and returns the next one; `None`: the first, the last.

    Raises `Unavailable` (`PAGINATION_LOOP`).
    """
    position, passed = None, set[str]()
    while True:
        found, following = read(position)
        yield from found
        if following is None:
            return
        if repr(following) in passed:
            raise Unavailable(Reason.PAGINATION_LOOP, f"{what} says there is more and not where")
        passed.add(repr(following))
        position = following


def overlapping_pages(read: Callable[[int], tuple[list[dict[str, Any]], int]], what: str) -> Iterator[dict[str, Any]]:
    """The rows of a list that is read by number: `read` takes the first one, and returns rows and how many there are.

    Each page begins with the last row of the one before it, so that a row that left an earlier page is noticed: all
    others move up. Raises `Unavailable` (`LISTING_INCOMPLETE`, `PAGINATION_LOOP`).
    """
    start, last = 0, None
    while True:
        rows, total = read(start)
        if last is not None and (not rows or rows[0]["id"] != last):
            raise Unavailable(Reason.LISTING_INCOMPLETE, f"rows of {what} went away while they were listed")
        yield from rows if last is None else rows[1:]
        if start + len(rows) >= total:
            return
        if len(rows) < 2:
            raise Unavailable(Reason.PAGINATION_LOOP, f"{what} says there is more and does not give it")
        start, last = start + len(rows) - 1, rows[-1]["id"]
