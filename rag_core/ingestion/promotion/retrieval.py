"""The retrieval and latency checks of the gate: a generation against the active one on golden questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rag_core.answering.evaluation import CUT, Interval, Scores, ndcg, paired, recall, reciprocal_rank
from rag_core.content.embedding import Embedder, Vectors
from rag_core.http_client import OWN_TEXT, EgressPolicy, Use, sending
from rag_core.ingestion.promotion.checks import CheckResult
from rag_core.ingestion.promotion.golden import BoundSet, GoldenQuestion
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex

PolicyOf = Callable[[str], EgressPolicy]
"""The egress policy of a tenant."""
MODES = {SearchMode.DENSE: "dense", SearchMode.LEXICAL: "bm25", SearchMode.HYBRID: "hybrid"}
METRICS = {"ndcg": ndcg, "recall": recall, "mrr": reciprocal_rank}
MIN_QUESTIONS = 10
"""With fewer questions a good generation cannot be distinguished from a bad one."""
DEPTH = 100
"""Hits per question: a long document has several chunks among them, and ten documents should remain."""
SLOWER = 2.0
_TIMED_LIMIT, _TIMED_SEARCHES, _TIMED_ROUNDS = 10, 100, 3
SLACK_SECONDS = 0.02
"""Timer and scheduler noise: a smaller difference between searches does not count."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """Scores of a generation: (mode, metric) to one value per question, and hybrid searches for timing."""

    generation: str
    questions: int
    left_out: int
    values: dict[tuple[SearchMode, str], Scores]
    searches: list[SearchRequest]

    def mean(self, mode: SearchMode, metric: str) -> float:
        return float(self.values[mode, metric].mean()) if self.questions else 0.0


def score(
    index: VectorIndex, generation: str, embedder: Embedder, sets: Sequence[BoundSet], policy: PolicyOf
) -> Scoring:
    """Search for every question in every mode. Questions that may not go to the embedding model are left out."""
    sets = [_sendable(one, embedder, policy) for one in sets]
    values: dict[tuple[SearchMode, str], list[float]] = {(mode, metric): [] for mode in MODES for metric in METRICS}
    searches: list[SearchRequest] = []
    for question, acl, vector in _asked(sets, embedder):
        for mode in MODES:
            request = SearchRequest(question.tenant, acl, DEPTH, mode, question.text, vector, generation=generation)
            hits = index.search(request).hits
            if mode is SearchMode.HYBRID:
                searches.append(replace(request, limit=_TIMED_LIMIT))
            ranking = question.ranking(f"{hit.payload.source}/{hit.payload.locator}" for hit in hits)
            for metric, measure in METRICS.items():
                values[mode, metric].append(measure(ranking, question.gains))
    arrays = {key: np.asarray(column, np.float64) for key, column in values.items()}
    left_out = sum(one.left_out for one in sets)
    return Scoring(generation, sum(len(one.questions) for one in sets), left_out, arrays, searches)


def _sendable(one: BoundSet, embedder: Embedder, policy: PolicyOf) -> BoundSet:
    if not embedder.remote:
        return one
    sent = [question for question in one.questions if policy(question.tenant).allows(Use.EMBED)]
    return replace(one, questions=type(one.questions)(sent), left_out=one.left_out + len(one.questions) - len(sent))


def _asked(sets: Sequence[BoundSet], embedder: Embedder) -> Iterator[tuple[GoldenQuestion, tuple[str, ...], Vectors]]:
    for one in sets:
        with sending(OWN_TEXT):  # see `_sendable`
            embedded = embedder.embed_queries([question.text for question in one.questions]) if one.questions else ()
        for question, vector in zip(one.questions, embedded, strict=True):
            yield question, one.acl[question.tenant], vector


def compare_retrieval(ours: Scoring, theirs: Scoring | None, tolerance: float) -> CheckResult:
    """Fail when hybrid or dense search loses more than `tolerance` nDCG@10, or lexical search does so significantly.

    The 95 % interval of the difference (paired bootstrap over the questions) is always reported.
    """
    figures = _figures(ours, theirs)
    if ours.questions < MIN_QUESTIONS:
        detail = (
            f"only {ours.questions} golden questions are about stored documents; at least {MIN_QUESTIONS} are needed "
            "to decide whether a generation is worse; write some with a source (docs/how-to/evaluate-answers.md)"
        )
        return CheckResult("retrieval", False, detail, figures)
    if theirs is None:
        message = ", ".join(f"{name} {ours.mean(mode, 'ndcg'):.3f}" for mode, name in MODES.items())
        return CheckResult(
            "retrieval", True, f"nDCG@{CUT} {message} on {ours.questions} questions; nothing to compare", figures
        )
    intervals = {mode: paired(ours.values[mode, "ndcg"], theirs.values[mode, "ndcg"]) for mode in MODES}
    for mode, name in MODES.items():
        interval = intervals[mode]
        figures |= {f"{name}_difference": interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    worse = [mode for mode, interval in intervals.items() if _is_worse(mode, interval, tolerance)]
    shown = worse or list(MODES)
    message = ", ".join(
        f"{MODES[mode]} {theirs.mean(mode, 'ndcg'):.3f} -> {ours.mean(mode, 'ndcg'):.3f} ({intervals[mode]})"
        for mode in shown
    )
    verdict = "worse than the active one" if worse else "not worse than the active one"
    return CheckResult(
        "retrieval", not worse, f"{verdict}: nDCG@{CUT} {message} on {ours.questions} questions", figures
    )


def _is_worse(mode: SearchMode, interval: Interval, tolerance: float) -> bool:
    if mode is SearchMode.LEXICAL:  # a new chunk size changes it slightly, and readers get the hybrid ranking
        return interval.high < -tolerance
    return interval.mean < -tolerance


def compare_latency(index: VectorIndex, ours: Scoring, theirs: Scoring | None) -> CheckResult:
    """Compare the 95th percentile latency of hybrid searches for the golden questions with the active generation.

    Searches alternate between the two and the fastest repetition counts, so that other load affects both alike.
    """
    if not ours.searches:
        return CheckResult("latency", True, "no golden question to time", {})
    timed = [_quickest(index, pair) for pair in _pairs(ours, theirs)]
    mine = float(np.percentile([seconds[0] for seconds in timed], 95))
    figures: dict[str, Any] = {
        "p50_ms": float(np.median([seconds[0] for seconds in timed])) * 1000,
        "p95_ms": mine * 1000,
    }
    if theirs is None:
        return CheckResult("latency", True, f"p95 {mine * 1000:.1f} ms; nothing to compare", figures)
    before = float(np.percentile([seconds[1] for seconds in timed], 95))
    figures["baseline_p95_ms"] = before * 1000
    passed = mine <= SLOWER * before + SLACK_SECONDS
    return CheckResult("latency", passed, f"p95 {before * 1000:.1f} -> {mine * 1000:.1f} ms", figures)


def _pairs(ours: Scoring, theirs: Scoring | None) -> list[tuple[SearchRequest, ...]]:
    both = [ours.searches] if theirs is None else [ours.searches, theirs.searches]
    return list(zip(*(searches[:_TIMED_SEARCHES] for searches in both), strict=True))


def _quickest(index: VectorIndex, requests: tuple[SearchRequest, ...]) -> list[float]:
    best = [float("inf")] * len(requests)
    for _ in range(_TIMED_ROUNDS):
        for place, request in enumerate(requests):
            started = time.perf_counter()
            index.search(request)
            best[place] = min(best[place], time.perf_counter() - started)
    return best


def _figures(ours: Scoring, theirs: Scoring | None) -> dict[str, Any]:
    figures: dict[str, Any] = {"questions": ours.questions, "left_out": ours.left_out}
    for prefix, scoring in (("", ours), ("baseline_", theirs)):
        if scoring is not None and scoring.questions:
            figures |= {
                f"{prefix}{name}_{metric}": round(scoring.mean(mode, metric), 4)
                for mode, name in MODES.items()
                for metric in METRICS
            }
    return figures
