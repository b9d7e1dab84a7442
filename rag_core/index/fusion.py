"""Fusion of the dense and the lexical leg, and the rule that the newest version wins.

By distribution (DBSF): each leg's scores are placed within three standard deviations around their mean and added. The
lexical leg counts by how much of the query its best hits know: of a question in another language they know a number or
a name, and the rest is chance. Chosen by cross-validation over the public sets; docs/retrieval.md has the table.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CANDIDATES = 100
"""Points each leg hands to the fusion at least: its distribution is estimated from them."""
KNOWN_HITS = 20
"""Best lexical hits whose terms are looked at to judge how much of the query the lexical leg knows."""
KNOWN_SHARE = 0.5
"""Share of the query's terms from which the lexical leg counts in full."""
SPARE = 16
"""Points fetched beyond the limit, so that dropping old versions still fills it."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate: its score and its stored payload."""

    chunk_id: uuid.UUID
    score: float
    payload: Mapping[str, Any]

    @property
    def doc_id(self) -> str:
        return str(self.payload["doc_id"])

    @property
    def version(self) -> int:
        return int(self.payload["version"])


def lexical_share(query: Iterable[int], hits: Iterable[Iterable[int]]) -> float:
    """How much the lexical leg counts, in [0, 1], from the query's terms and those of its best hits together."""
    wanted = set(query)
    if not wanted:
        return 0.0
    known = wanted & {term for hit in hits for term in hit}
    return min(1.0, len(known) / len(wanted) / KNOWN_SHARE)


def fuse(
    dense: Mapping[uuid.UUID, float], lexical: Mapping[uuid.UUID, float], share: float, limit: int
) -> list[tuple[uuid.UUID, float]]:
    """The best `limit` points of both legs with their fused scores, in [0, 2] but for outliers, best first."""
    fused = by_distribution(dense)
    for chunk_id, score in by_distribution(lexical).items():
        fused[chunk_id] = fused.get(chunk_id, 0.0) + share * score
    return sorted(fused.items(), key=lambda item: -item[1])[:limit]


def by_distribution(scores: Mapping[uuid.UUID, float]) -> dict[uuid.UUID, float]:
    """Scores with mean - 3 deviations at 0 and mean + 3 deviations at 1; all 0.5 when they are equal."""
    count = len(scores)
    mean = math.fsum(scores.values()) / max(1, count)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores.values()) / max(1, count - 1))
    if deviation == 0:
        return dict.fromkeys(scores, 0.5)
    return {chunk_id: (score - mean + 3 * deviation) / (6 * deviation) for chunk_id, score in scores.items()}


def unit_score(fused: float) -> float:
    """A fused score (the sum of two legs) in [0, 1]. Scores above three deviations share the 1; their order stays."""
    return min(1.0, max(0.0, fused / 2))


def newest_only(candidates: Sequence[Scored], newer: Mapping[str, int] | None = None) -> list[Scored]:
    """Candidates in their order, without those of an older version than another candidate of the same document.

    `newer` adds versions known from elsewhere: document id to the newest complete version the index holds.
    """
    newest = dict(newer or {})
    for candidate in candidates:
        newest[candidate.doc_id] = max(candidate.version, newest.get(candidate.doc_id, candidate.version))
    return [candidate for candidate in candidates if candidate.version == newest[candidate.doc_id]]


def in_order(candidates: Sequence[Scored]) -> list[Scored]:
    """Candidates by falling score, equal ones by id.

    An engine gives equal scores in any order, and sums that should be equal differ in their last digits from one query
    to the next; pages cut from such lists would repeat some passages and lose others.
    """
    return sorted(candidates, key=lambda candidate: (-round(candidate.score, 5), candidate.chunk_id.bytes))


def capped(candidates: Sequence[Scored], per_document: int | None) -> list[Scored]:
    """Candidates in their order, at most `per_document` of each document."""
    if per_document is None:
        return list(candidates)
    seen: Counter[str] = Counter()
    kept = []
    for candidate in candidates:
        seen[candidate.doc_id] += 1
        if seen[candidate.doc_id] <= per_document:
            kept.append(candidate)
    return kept
