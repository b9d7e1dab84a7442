"""Database transactions beside the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from query_server.runtime.calls import current_call
from query_server.runtime.dependencies import LazyStore
from rag_core import database
from rag_core.errors import DeadlineExceeded, Reason
from rag_tracing import CLIENT, span

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


async def transact(store: LazyStore, work: Callable[[Connection], T]) -> T:
    """Do `work` in a thread and in one transaction. Deadline and request id of the call go with it.

    No statement runs longer than the call has left, and PostgreSQL knows the session as `rag <request id>`. Raises
    `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down, and at once while every thread waits for it.
    """
    call = current_call()

    def run() -> T:
        with store.get().engine.begin() as connection:
            _limit(connection, call.deadline, call.request_id)
            return work(connection)

    with span("transaction", {"db.system.name": "postgresql"}, CLIENT):
        return await store.threads.run(run)


def _limit(connection: Connection, deadline: float, request_id: str) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded(Reason.DEADLINE, "the call ended before its turn at the database")
    database.limit_transaction(connection, left, f"rag {request_id}")
