"""Fusion of the dense and the lexical leg, newest versions only, and diversity.

Distribution-based score fusion (DBSF): each leg's scores are scaled to three standard deviations around their mean, and
the legs are averaged. The weight of each leg is computed for every query from its hits:

- the lexical leg by the share of the query's terms that its best hits contain. For a question in another language they
contain only a number or a name, and their order is chance. It counts up to three times when its best hit alone has
the terms: the query is then a name, a code or a quotation;
- the dense leg by how far its best hit stands out. When all hits are about equally near, as for a part number, their
order is chance.

Chosen by cross-validation over the public sets and many sets derived from them; docs/retrieval.md has the tables.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.retrieval.index import LegWeights, ScoreExplanation

CANDIDATES = 100
"""Least number of points of each leg for the fusion: its distribution is estimated from them."""
KNOWN_HITS = 20
"""Number of best lexical hits whose terms decide the weight of the lexical leg."""
FULL_MATCH = 2.0
"""Added to the lexical leg's weight when its best hit has all terms of the query; 0 for half of them."""
STANDING = 0.3
"""Distance, as a share of the way from the average cosine to 1, by which the best hit must stand out for the dense leg
to have its full weight."""
SPARE = 16
"""Points fetched beyond the limit, to replace dropped old versions."""
Key = TypeVar("Key", bound=Hashable)
Number = int
"""A chunk's id as a number: a search hashes hundreds of them, and a `UUID` is hashed in Python."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that a search found, before its payload is read: its score, those of the legs that found it, and how the
    fusion came to the score when that was asked for."""

    number: Number
    score: float
    dense: float | None = None
    lexical: float | None = None
    explanation: ScoreExplanation | None = None

    @property
    def chunk_id(self) -> uuid.UUID:
        return uuid.UUID(int=self.number)


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
    """A candidate with its stored payload, and its cosine where it was asked for."""

    candidate: Candidate
    payload: Mapping[str, Any]
    cosine: float | None = None

    @property
    def doc_id(self) -> str:
        return str(self.payload["doc_id"])

    @property
    def version(self) -> int:
        return int(self.payload["version"])


@dataclass(frozen=True, slots=True)
class Legs:
    """Hits of both legs, each best first, and the weight of the lexical leg (`lexical_weight`)."""

    dense: Mapping[Number, float]
    lexical: Mapping[Number, float]
    weight: float


def lexical_weight(query: Iterable[int], hits: Sequence[Iterable[int]]) -> float:
    """The weight of the lexical leg, in [0, 1 + `FULL_MATCH`], from the terms of the query and of its best hits."""
    wanted = set(query)
    found = [wanted.intersection(hit) for hit in hits]
    if not wanted or not found:
        return 0.0
    known = len(set().union(*found)) / len(wanted)
    matched = len(found[0]) / len(wanted)
    return float(known**2 * (1 + FULL_MATCH * max(0.0, 2 * matched - 1)))


def dense_weight(scores: Collection[float]) -> float:
    """The weight of the dense leg, in [0, 1], from the cosines of its candidates."""
    if len(scores) < 2:
        return 1.0
    best = max(scores)
    others = (math.fsum(scores) - best) / (len(scores) - 1)
    return min(1.0, (best - others) / max(1 - others, 1e-6) / STANDING)


def fuse(
    dense: Mapping[Key, float],
    lexical: Mapping[Key, float],
    weight: float,
    limit: int,
    wanted: LegWeights | None = None,
) -> list[tuple[Key, float]]:
    """The best `limit` points of both legs with their fused scores, in [0, 1] except for outliers, best first.

    `weight` is the computed weight of the lexical leg; `wanted` replaces the computed weights of both.
    """
    weights = _weights(dense, weight, wanted)
    whole = weights.dense + weights.lexical
    fused = {chunk_id: score * weights.dense / whole for chunk_id, score in by_distribution(dense).items()}
    for chunk_id, score in by_distribution(lexical).items():
        fused[chunk_id] = fused.get(chunk_id, 0.0) + score * weights.lexical / whole
    return [(key, fused[key]) for key in sorted(fused, key=fused.__getitem__, reverse=True)[:limit]]


def explain(
    dense: Mapping[Key, float],
    lexical: Mapping[Key, float],
    weight: float,
    wanted: LegWeights | None = None,
) -> dict[Key, ScoreExplanation]:
    """Return how `fuse` comes to the score of each point of both legs. The legs are in their order, best first."""
    weights = _weights(dense, weight, wanted)
    whole = weights.dense + weights.lexical
    shares = LegWeights(weights.dense / whole, weights.lexical / whole)
    near, matching = by_distribution(dense), by_distribution(lexical)
    dense_ranks = {chunk_id: rank for rank, chunk_id in enumerate(dense, 1)}
    lexical_ranks = {chunk_id: rank for rank, chunk_id in enumerate(lexical, 1)}
    return {
        chunk_id: ScoreExplanation(
            rank=0,  # known once old versions and surplus passages are left out
            dense_rank=dense_ranks.get(chunk_id),
            lexical_rank=lexical_ranks.get(chunk_id),
            dense=near.get(chunk_id, 0.0) * shares.dense,
            lexical=matching.get(chunk_id, 0.0) * shares.lexical,
            weights=shares,
        )
        for chunk_id in {**dense, **lexical}
    }


def fused(legs: Legs, limit: int, wanted: LegWeights | None, *, explained: bool) -> list[Candidate]:
    """The best `limit` candidates of both legs; `wanted` replaces the computed weights."""
    best = fuse(legs.dense, legs.lexical, legs.weight, limit, wanted)
    explanations = explain(legs.dense, legs.lexical, legs.weight, wanted) if explained else {}
    return [
        Candidate(chunk_id, score, legs.dense.get(chunk_id), legs.lexical.get(chunk_id), explanations.get(chunk_id))
        for chunk_id, score in best
    ]


def _weights(dense: Mapping[Key, float], weight: float, wanted: LegWeights | None) -> LegWeights:
    weights = wanted or LegWeights(dense_weight(dense.values()), weight)
    if weights.dense + weights.lexical == 0:  # all candidates are equally near and no term matches: there is no order
        return LegWeights(1.0, weights.lexical)
    return weights


def by_distribution(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scale scores: mean - 3 deviations to 0, mean + 3 deviations to 1; all 0.5 when they are equal."""
    count = len(scores)
    mean = math.fsum(scores.values()) / max(1, count)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores.values()) / max(1, count - 1))
    if deviation == 0:
        return dict.fromkeys(scores, 0.5)
    return {chunk_id: (score - mean + 3 * deviation) / (6 * deviation) for chunk_id, score in scores.items()}


def unit_score(fused: float) -> float:
    """Clip a fused score to [0, 1]. Scores above three deviations all become 1; the order of hits stays."""
    return min(1.0, max(0.0, fused))


def newest_only(candidates: Sequence[ScoredCandidate], newer: Mapping[str, int] | None = None) -> list[ScoredCandidate]:
    """Candidates in their order, without those for whose document a newer version is among the candidates.

    `newer` adds known versions: document id to the newest complete version in the index.
    """
    newest = dict(newer or {})
    for candidate in candidates:
        newest[candidate.doc_id] = max(candidate.version, newest.get(candidate.doc_id, candidate.version))
    return [candidate for candidate in candidates if candidate.version == newest[candidate.doc_id]]


def in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates by descending score, equal scores by id.

    An engine returns equal scores in any order, and sums that should be equal differ in their last digits between
    queries; pages cut from such lists would repeat some passages and lose others.
    """
    return sorted(candidates, key=lambda candidate: (-round(candidate.score, 5), candidate.number))


def capped(candidates: Sequence[ScoredCandidate], per_document: int | None) -> list[ScoredCandidate]:
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
# Maximal marginal relevance: each next passage is relevant and unlike the previous ones.


def diversified(relevance: Sequence[float], vectors: Vectors, diversity: float) -> list[int]:
    """Rank n items by MMR: `relevance` has n scores, `vectors` shape [n, dimensions], `diversity` is in [0, 1].

    Relevance and similarity are each scaled to [0, 1] over the items, so that the meaning of `diversity` depends
    neither on the kind of score nor on the embedder's spread of cosines. Quadratic in n.
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
