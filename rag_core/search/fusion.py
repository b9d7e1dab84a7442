"""Fusion of the dense and the lexical leg, and the rule that the newest version wins.

By distribution (DBSF): each leg's scores are placed within three standard deviations around their mean, and the legs
are averaged. How much each leg counts is judged for every query from what it found:

- the lexical leg by the share of the query's terms that its best hits know. Of a question in another language they know
  a number or a name, and the rest is chance. It counts up to three times when its best hit alone has the terms: that
  is a name, a code or a quotation;
- the dense leg by how far its best hit stands out. When everything is about equally near, as for a part number, the
  order of its hits is chance.

Chosen by cross-validation over the public sets and many made from them; docs/retrieval.md has the tables.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag_core.embedding import Vectors

CANDIDATES = 100
"""Points each leg hands to the fusion at least: its distribution is estimated from them."""
KNOWN_HITS = 20
"""Best lexical hits whose terms decide how much of the query the lexical leg knows."""
FULL_MATCH = 2.0
"""What is added to the lexical leg's weight when its best hit has all terms of the query; nothing at a half of them."""
STANDING = 0.3
"""Part of the way from the average candidate to a cosine of 1 that the best one must have gone for the dense leg to
count in full."""
SPARE = 16
"""Points fetched beyond the limit, so that dropping old versions still fills it."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate: its score and its stored payload; of a fused one also its BM25 score when that leg had it."""

    chunk_id: uuid.UUID
    score: float
    payload: Mapping[str, Any]
    lexical: float | None = None

    @property
    def doc_id(self) -> str:
        return str(self.payload["doc_id"])

    @property
    def version(self) -> int:
        return int(self.payload["version"])


def lexical_weight(query: Iterable[int], hits: Sequence[Iterable[int]]) -> float:
    """How much the lexical leg counts, in [0, 1 + `FULL_MATCH`], from the query's terms and those of its best hits."""
    wanted = set(query)
    found = [wanted.intersection(hit) for hit in hits]
    if not wanted or not found:
        return 0.0
    known = len(set().union(*found)) / len(wanted)
    matched = len(found[0]) / len(wanted)
    return float(known**2 * (1 + FULL_MATCH * max(0.0, 2 * matched - 1)))


def dense_weight(scores: Collection[float]) -> float:
    """How much the dense leg counts, in [0, 1], from the cosines of its candidates."""
    if len(scores) < 2:
        return 1.0
    best = max(scores)
    others = (math.fsum(scores) - best) / (len(scores) - 1)
    return min(1.0, (best - others) / max(1 - others, 1e-6) / STANDING)


def fuse(
    dense: Mapping[uuid.UUID, float], lexical: Mapping[uuid.UUID, float], weight: float, limit: int
) -> list[tuple[uuid.UUID, float]]:
    """The best `limit` points of both legs with their fused scores, in [0, 1] but for outliers, best first.

    `weight` is that of the lexical leg.
    """
    dense_share = dense_weight(dense.values())
    whole = dense_share + weight
    if whole == 0:  # every candidate is as near as the others, and no word is known: there is no order
        dense_share = whole = 1.0
    fused = {chunk_id: score * dense_share / whole for chunk_id, score in by_distribution(dense).items()}
    for chunk_id, score in by_distribution(lexical).items():
        fused[chunk_id] = fused.get(chunk_id, 0.0) + score * weight / whole
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
    """A fused score in [0, 1]. Scores above three deviations share the 1; their order stays."""
    return min(1.0, max(0.0, fused))


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


# --------------------------------------------------------------------------------------------------------------------
# Maximal marginal relevance: each next passage is relevant and unlike those before it.


def diversified(relevance: Sequence[float], vectors: Vectors, diversity: float) -> list[int]:
    """The order of n items: `relevance` has n scores, `vectors` shape [n, dimensions], `diversity` is in [0, 1].

    Relevance and likeness are each stretched to [0, 1] over the items, so that neither the kind of score nor how an
    embedder spreads its cosines decides what `diversity` means. Quadratic in n.
    """
    scores = _stretched(np.asarray(relevance, dtype=np.float64))
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit = (vectors / norms).astype(np.float64)
    likeness = _stretched(unit @ unit.T)
    left = np.ones(len(scores), dtype=bool)
    nearest = np.zeros(len(scores))
    order: list[int] = []
    while left.any():
        gain = np.where(left, (1 - diversity) * scores - diversity * nearest, -np.inf)
        chosen = int(np.argmax(gain))
        order.append(chosen)
        left[chosen] = False
        nearest = np.maximum(nearest, likeness[chosen])
    return order


def _stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    return np.zeros_like(values) if high - low < 1e-12 else (values - low) / (high - low)
