"""The push inbox under calls that come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_core.content.streams import PushedChange, Receipt
from rag_core.content.streams.inbox_store import accept
from rag_core.database import Store
from rag_core.errors import Conflict, Reason
from tests.support.waiting import eventually


def _accept(store: Store, locator: str) -> Receipt:
    with store.engine.begin() as connection:
        change = PushedChange("acme", "notes", locator, "ann", content=b"text", idempotency_key="once")
        return accept(connection, change, max_pending=10)


def test_an_idempotency_key_used_at_once_for_two_documents_is_a_conflict_of_one(store: Store) -> None:
    def waits() -> bool:
        with store.engine.connect() as connection:
            return bool(connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar_one())

    with ThreadPoolExecutor(1) as other, store.engine.begin() as connection:
        change = PushedChange("acme", "notes", "a", "ann", content=b"text", idempotency_key="once")
        accept(connection, change, max_pending=10)
        second = other.submit(_accept, store, "b")
        assert eventually(waits)
        connection.commit()
        with pytest.raises(Conflict) as caught:
            second.result(30)
    assert caught.value.reason is Reason.IDEMPOTENCY_MISMATCH
    assert _accept(store, "a").repeated
