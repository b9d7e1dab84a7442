"""What connectors remember of single items, in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from rag_core.store.engine import Store
from rag_core.store.tables import source_items

_PAGE = 1000


class StoredMemory:
    """A `rag_core.sources.SourceMemory` of one source. Each call is a transaction of its own."""

    def __init__(self, store: Store, tenant: str, source: str) -> None:
        self._store = store
        self._tenant, self._source = tenant, source

    def get(self, locator: str) -> dict[str, Any] | None:
        statement = select(source_items.c.state).where(self._mine(), source_items.c.locator == locator)
        with self._store.engine.connect() as connection:
            found: dict[str, Any] | None = connection.scalar(statement)
            return found

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        if not states:
            return
        common = {"tenant": self._tenant, "source": self._source}
        rows = [{**common, "locator": locator, "state": dict(state)} for locator, state in states.items()]
        statement = insert(source_items)
        changed = {"state": statement.excluded.state, "updated_at": func.now()}
        with self._store.engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(constraint=source_items.primary_key, set_=changed), rows)

    def forget(self, locators: Sequence[str]) -> None:
        if not locators:
            return
        with self._store.engine.begin() as connection:
            connection.execute(delete(source_items).where(self._mine(), source_items.c.locator.in_(locators)))

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        after = ""
        while True:
            statement = (
                select(source_items.c.locator, source_items.c.state)
                .where(self._mine(), source_items.c.locator > after)
                .order_by(source_items.c.locator)
                .limit(_PAGE)
            )
            with self._store.engine.connect() as connection:
                page = connection.execute(statement).all()
            if not page:
                return
            for row in page:
                yield row.locator, row.state
            after = page[-1].locator

    def _mine(self) -> ColumnElement[bool]:
        return (source_items.c.tenant == self._tenant) & (source_items.c.source == self._source)
