"""Reads and writes of operators: each in one transaction of bounded time, on a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from query_server.parts import LazyStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LIMIT_STATEMENTS = "SET LOCAL statement_timeout = '8s'"
T = TypeVar("T")


class Transactions:
    """Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once it is committed."""

        def transact() -> T:
            with self._store.get().engine.begin() as connection:
                connection.exec_driver_sql(_LIMIT_STATEMENTS)
                return work(connection)

        return await asyncio.to_thread(transact)
