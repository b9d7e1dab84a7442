"""An index that is asked as the query server asks it: the same retrieval, corrected search, neighbours and embedder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag_core.access import EVERYONE
from rag_core.answering import Question
from rag_core.documents import All, Condition, In
from rag_core.embedding import Vectors
from rag_core.index import Hit, Place, SearchRequest, VectorIndex

HITS = 24
"""Passages that the query server retrieves for an answer."""
SHOWN = 10

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What one tenant of an index may see. `queries` and `passages` embed texts."""

    index: VectorIndex
    tenant: str
    queries: Embed
    passages: Embed

    def ask(self, text: str, condition: Condition | None = None) -> Question:
        """The question with what was retrieved, as an answerer is given it."""
        hits, vector = self._search(text, condition)

        async def search(again: str, locators: Sequence[str]) -> tuple[tuple[Hit, ...], Vectors | None]:
            named = [In("locator", tuple(locators))] if locators else []
            own = [condition] if condition else []
            return self._search(again, All((*own, *named)) if own or named else None)

        async def around(places: Sequence[Place]) -> tuple[Hit, ...]:
            points = self.index.around(self._request(text, condition), places)
            points.sort(key=lambda point: (point.payload.doc_id, point.payload.ordinal))
            return tuple(Hit(point.chunk_id, 0.0, point.payload) for point in points)

        async def embed(texts: Sequence[str]) -> Vectors:
            return self.passages(texts)

        contrast = hits[SHOWN:]
        return Question(text, hits[:SHOWN], vector, contrast=contrast, embed=embed, search=search, around=around)

    def _search(self, text: str, condition: Condition | None) -> tuple[tuple[Hit, ...], Vectors]:
        vector = self.queries([text])[0]
        return self.index.search(self._request(text, condition, vector)).hits, vector

    def _request(self, text: str, condition: Condition | None, vector: Vectors | None = None) -> SearchRequest:
        return SearchRequest(self.tenant, (EVERYONE,), HITS, text=text, vector=vector, filter=condition)
