"""Database work beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from query_server.parts import LazyStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LIMIT_STATEMENTS = "SET LOCAL statement_timeout = '8s'"
T = TypeVar("T")


async def transact(store: LazyStore, work: Callable[[Connection], T]) -> T:
    """Do `work` in a thread and in one transaction whose statements end before the caller's patience does.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down.
    """

    def run() -> T:
        with store.get().engine.begin() as connection:
            connection.exec_driver_sql(_LIMIT_STATEMENTS)
            return work(connection)

    return await asyncio.to_thread(run)
