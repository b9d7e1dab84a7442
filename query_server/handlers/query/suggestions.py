"""Filters that questions name: the values that there are, and which of them the caller can see documents of."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.polling import database_thread
from rag_core.content import documents
from rag_core.content.documents import FieldTypes
from rag_core.errors import RagError
from rag_core.retrieval.search import SuggestedFilter, Values, normal, suggest
from rag_core.settings import FieldType

READ_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 60.0
"""Age from which the values of a tenant are read again, while those known still count."""
WAIT_SECONDS: Final = 0.25
"""Longest wait of a question for the first reading; no question waits for later ones."""
MAX_CHARS: Final = 64
MAX_TENANTS: Final = 1000


@dataclass(slots=True)
class _Read:
    values: Values
    at: float


class Suggestions:
    """The values of each tenant that asks. For one event loop."""

    def __init__(self, store: LazyStore, fields: FieldTypes) -> None:
        self._store, self._fields = store, fields
        self._known: OrderedDict[str, _Read] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._thread = database_thread("filter-values")

    async def find(self, tenant: str, text: str) -> list[SuggestedFilter]:
        """Return the filters that a question names. Whether any document meets them is not asked here."""
        known = self._known.get(tenant)
        if known is None or time.monotonic() - known.at > KEPT_SECONDS:
            task = self._reading.get(tenant)
            if task is None:
                task = self._reading[tenant] = asyncio.create_task(self._read(tenant))
            if known is None:
                await asyncio.wait({task}, timeout=WAIT_SECONDS)
        known = self._known.get(tenant)
        return suggest(text, known.values if known else {}, self._fields)

    async def _read(self, tenant: str) -> None:
        values: Values = {}
        try:
            with suppress(RagError):  # what is known stays, and is read again later
                values = await self._thread.run_within(READ_SECONDS, lambda: self._load(tenant))
            if not values and tenant in self._known:
                values = self._known[tenant].values
            self._known[tenant] = _Read(values, time.monotonic())
            self._known.move_to_end(tenant)
            if len(self._known) > MAX_TENANTS:
                self._known.popitem(last=False)
        finally:
            del self._reading[tenant]

    def _load(self, tenant: str) -> Values:
        names = [name for name, kind in self._fields.items() if kind is not FieldType.TIME]
        found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        with self._store.get().engine.connect() as connection:
            for field, value in documents.read_store.filter_values(connection, tenant, names, chars=MAX_CHARS):
                found[normal(value)].append((field, value))
        return found
