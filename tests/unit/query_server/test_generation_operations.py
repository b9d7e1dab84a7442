"""Generation operations: one at a time, whatever becomes of their callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from query_server.handlers.admin.generations import GenerationsHandler
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.governance.access import Principal
from tests.support.query_server import settings_of

ANN = Principal("ann", "acme", (), frozenset({"admin"}))


class GatedStore:
    """A database that lets each operation in when the test says so, and is down then."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.inside = self.most = self.operations = 0

    def get(self) -> Any:
        self.operations += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.gate.acquire(timeout=20)
        self.inside -= 1
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "down")

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=10)


@pytest.fixture
def store() -> GatedStore:
    return GatedStore()


@pytest.fixture
async def handler(store: GatedStore, tmp_path: Path) -> AsyncIterator[GenerationsHandler]:
    handler = GenerationsHandler(settings_of(tmp_path), SimpleNamespace(store=store))  # type: ignore[arg-type]
    yield handler
    for _ in range(10):
        store.gate.release()
    await handler.close(10)
    assert not handler.stuck


def promote(handler: GenerationsHandler) -> asyncio.Task[Any]:
    return asyncio.create_task(handler.promote(ANN, "g1", "", ""))


async def leave(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_operation_whose_caller_timed_out_ends_before_the_next_one_begins(
    handler: GenerationsHandler, store: GatedStore
) -> None:
    first = promote(handler)
    await store.wait_entered()
    await leave(first)
    second = promote(handler)
    await asyncio.sleep(0)
    store.gate.release(2)
    with suppress(RagError):
        await second
    assert (store.operations, store.most) == (2, 1)


async def test_an_operation_whose_caller_left_before_its_turn_is_never_run(
    handler: GenerationsHandler, store: GatedStore
) -> None:
    first = promote(handler)
    await store.wait_entered()
    second = promote(handler)
    await asyncio.sleep(0)
    await leave(second)
    store.gate.release(2)
    with pytest.raises(Unavailable):
        await first
    with pytest.raises(Unavailable):
        await promote(handler)
    assert store.operations == 2


async def test_closing_waits_for_the_operation_that_runs(handler: GenerationsHandler, store: GatedStore) -> None:
    running = promote(handler)
    await store.wait_entered()
    assert handler.stuck
    closing = asyncio.create_task(handler.close(20))
    store.gate.release()
    await closing
    assert not handler.stuck
    with pytest.raises(Unavailable):
        await running
