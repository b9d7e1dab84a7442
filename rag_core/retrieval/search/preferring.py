"""Prefer some hits to others that are as relevant: newer documents, and those that an editor boosted."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from rag_core.content.documents import document_date
from rag_core.content.sources import Recency
from rag_core.retrieval.index import SearchHit

WINDOW: Final = 100
"""Hits that are looked at, so that a preferred document that is less relevant can come first."""
BOOST: Final = 0.25
"""Share of the best score that is added for a boosted document."""
UNDATED: Final = 0.5
"""Freshness of a document without a date, that of one whose age is the half-life: neither preferred nor put behind."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences of a search, besides relevance.

    `freshness` counts for every document; without it that of its source does, if that has one.
    """

    boosted: Collection[uuid.UUID] = ()
    freshness: Recency | None = None
    by_source: Mapping[str, Recency] = field(default_factory=dict)

    def __bool__(self) -> bool:
        newer = self.by_source if self.freshness is None else self.freshness.weight
        return bool(self.boosted or newer)

    def applied(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """Return hits with what they are preferred by, best first."""
        best, now = max((abs(hit.relevance) for hit in hits), default=0.0), datetime.now(UTC)
        return sorted((self._preferred(hit, best, now) for hit in hits), key=lambda hit: -hit.relevance)

    def _preferred(self, hit: SearchHit, best: float, now: datetime) -> SearchHit:
        curated = BOOST * best if hit.payload.doc_id in self.boosted else 0.0
        wanted = self.freshness or self.by_source.get(hit.payload.source)
        date = document_date(hit.payload.metadata) if wanted else None
        newer = wanted.weight * (best * _freshness(date, wanted, now) - hit.relevance) if wanted else 0.0
        explained = hit.explanation and replace(hit.explanation, curated=curated, freshness=newer, dated_at=date)
        return replace(hit, preferred=hit.relevance + newer + curated, explanation=explained)


NO_PREFERENCES: Final = Preferences()


def _freshness(date: datetime | None, wanted: Recency, now: datetime) -> float:
    """Return 1 for a document of now, half of it for each half-life of its age."""
    if date is None:
        return UNDATED
    days = max(0.0, (now - date).total_seconds() / 86_400)
    return float(0.5 ** (days / wanted.half_life_days))
