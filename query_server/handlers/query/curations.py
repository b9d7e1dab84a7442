"""The preferences of editors and sources that a server holds: curations, and the freshness of sources."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from query_server.handlers.query.embedder import QueryEmbedder
from query_server.handlers.query.models import QueryModels
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.polling import ANNOUNCED_SECONDS, Poller
from rag_core.content import sources
from rag_core.content.embedding import Vectors
from rag_core.content.sources import Recency
from rag_core.errors import RagError
from rag_core.governance.access import Principal
from rag_core.retrieval import curation
from rag_core.retrieval.curation import Applied, Curation, CurationAction, PhrasedCurations

READ_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 1.0
"""Longest wait of a question for the vectors of wordings, made when the first question comes; then words decide."""
COMPARED: Final = 8
"""Wordings that are compared with a question token by token, the nearest ones."""
NEAR: Final = 0.94
"""Cosine from which they are."""
WORST: Final = 0.81
"""Similarity from which a question means the same as a wording: that of the token whose counterpart is least like it.
One word is all that tells "How long is sick leave?" from "How long is parental leave?", whose cosine is 0.92
(docs/how-to/curate-answers.md)."""


class SourceFreshness:
    """The freshness of sources by tenant and name, as their files say. For one event loop."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store
        self._found: Mapping[str, Mapping[str, Recency]] = {}
        self.poller = Poller("freshness of sources", self._load, self._take, seconds=ANNOUNCED_SECONDS)

    def of(self, tenant: str) -> Mapping[str, Recency]:
        """Return that of the sources of a tenant which have one."""
        return self._found.get(tenant, {})

    def _load(self) -> Mapping[str, Mapping[str, Recency]]:
        with self._store.get().engine.connect() as connection:
            return sources.store.freshness_of_sources(connection)

    def _take(self, found: Mapping[str, Mapping[str, Recency]]) -> None:
        self._found = found


@dataclass(slots=True)
class _Known:
    """The curations of a tenant, with the vectors of their wordings by one embedder."""

    revision: str
    phrased: PhrasedCurations
    embedder: QueryEmbedder | None = None
    embedding: asyncio.Task[Vectors | None] | None = None


@dataclass(frozen=True, slots=True)
class AppliedCurations:
    """The curations that apply to one question, the nearest wording first."""

    all: tuple[Applied, ...] = ()
    answer: Curation | None = field(default=None)

    def documents(self, action: CurationAction) -> tuple[str, ...]:
        """The ids of the documents that an action is for."""
        own = (one.curation for one in self.all)
        return tuple(str(one.doc_id) for one in own if one.action is action)


NO_CURATIONS: Final = AppliedCurations()


class Curations:
    """The curations of all tenants, at most a few seconds old. For one event loop.

    While the database is away the last reading stands. A tenant without any costs one look at a mapping.
    """

    def __init__(self, store: LazyStore, models: QueryModels, *, similarity: float) -> None:
        """`similarity` is the cosine from which two questions mean the same."""
        self._store, self._models, self._similarity = store, models, similarity
        self._known: dict[str, _Known] = {}
        self.poller = Poller(
            "curations", self._load, self._take, seconds=READ_SECONDS, announced_seconds=ANNOUNCED_SECONDS
        )

    async def find(self, principal: Principal, text: str) -> AppliedCurations:
        """Return what counts for a caller and a question."""
        known = self._known.get(principal.tenant)
        if known is None:
            return NO_CURATIONS
        alike: dict[int, float] = {}
        with suppress(RagError, TimeoutError):  # words decide
            async with asyncio.timeout(WAIT_SECONDS):
                alike = await self._alike(principal.tenant, known, text)
        found = known.phrased.find(text, principal.acl_entries, alike)
        written = (one.curation for one in found if one.curation.action is CurationAction.ANSWER)
        return AppliedCurations(found, next(written, None))

    async def _alike(self, tenant: str, known: _Known, text: str) -> dict[int, float]:
        """Return the cosines of the wordings that mean the same as a question, by number."""
        _, embedder = await self._models.target()
        own = await embedder.embed(tenant, text)
        if known.embedding is None or known.embedder is not embedder:
            known.embedder = embedder
            known.embedding = asyncio.create_task(_embedded(embedder, tenant, known.phrased.wordings))
        vectors = await asyncio.shield(known.embedding)
        if vectors is None:
            known.embedding = None  # tried again with the next question
            return {}
        cosines = vectors @ own
        compares = embedder.compares_tokens
        least = NEAR if compares else self._similarity
        near = [int(at) for at in np.argsort(-cosines)[:COMPARED] if cosines[at] >= least]
        if compares and near:
            matches = await embedder.compare(tenant, text, [known.phrased.wordings[at] for at in near])
            near = [at for at, found in zip(near, matches, strict=True) if found.worst() >= WORST]
        return {at: float(cosines[at]) for at in near}

    def _load(self) -> tuple[Mapping[str, str], Mapping[str, Sequence[Curation]]]:
        with self._store.get().engine.connect() as connection:
            revisions = curation.store.revisions(connection)
            old = {tenant: known.revision for tenant, known in self._known.items()}
            changed = [tenant for tenant, revision in revisions.items() if old.get(tenant) != revision]
            return revisions, curation.store.of_tenants(connection, changed) if changed else {}

    def _take(self, found: tuple[Mapping[str, str], Mapping[str, Sequence[Curation]]]) -> None:
        revisions, changed = found
        for tenant in self._known.keys() - revisions.keys():
            del self._known[tenant]
        for tenant, rows in changed.items():
            self._known[tenant] = _Known(revisions[tenant], PhrasedCurations(rows))


async def _embedded(embedder: QueryEmbedder, tenant: str, texts: Sequence[str]) -> Vectors | None:
    """Embed wordings one after the other, so that questions of callers come between them; `None` when it fails."""
    try:
        return np.stack([await embedder.embed(tenant, text) for text in texts])
    except RagError:
        return None
