"""Checks of the promotion gate that need no questions: parity, coverage, vectors, size."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag_core.content.embedding import Embedder, Vectors, decode
from rag_core.database import Store
from rag_core.governance.tenants import store as tenants
from rag_core.http_client import OWN_TEXT, Use, sending
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.promotion import store as rows
from rag_core.ingestion.verify import GRAPH, FindingKind, VerifyReport, verify
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

SELF_RETRIEVAL = 2000
"""Number of points that are searched by their own vector; all points are compared with their rows."""
SAMPLE_TEXTS = 64
"""Number of texts embedded again to compare their stored vectors with the model's."""
SAME = 0.97
"""Least cosine of two embeddings of a text by the same model."""
TYPICAL = 0.996
"""Least median cosine of the sample. Dynamic int8 and endpoints vary by 0.003; the bundled model with the query prefix
in place of the passage prefix gives 0.984, with no single text below `SAME` in Chinese."""
ALIKE = 0.999
MAX_GROWTH = 4.0
_MISSES_SHOWN = 3
_PAGE = 200
_ARRIVAL_SECONDS, _POLL_SECONDS = 30.0, 0.1


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: `detail` is a summary in one line, `figures` are its numbers."""

    name: str
    passed: bool
    detail: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedGeneration:
    """The generation to check."""

    store: Store
    index: VectorIndex
    row: Generation
    settings: Settings


def verified(candidate: CheckedGeneration) -> VerifyReport:
    """The report that `parity` and `recall` read."""
    return verify(candidate.store, candidate.index, candidate.row.name, self_retrieval=SELF_RETRIEVAL)


def parity(candidate: CheckedGeneration, report: VerifyReport) -> CheckResult:
    """Parity: every current chunk is indexed once, with the payload and vector of its row, and retrievable."""
    totals = {kind: count for kind, count in sorted(report.totals.items()) if kind not in GRAPH}
    figures = {
        "expected": report.expected,
        "points": report.points,
        "retrieved": report.retrieved,
        **{f"finding_{kind}": count for kind, count in totals.items()},
    }
    # Pending documents are not a fault, as long as they get indexed.
    if set(totals) == {FindingKind.UNINDEXED} and not _not_arrived(candidate):
        detail = f"{report.points} points are the chunks of the rows; {report.pending} documents were on their way"
        return CheckResult("parity", True, detail, figures)
    if not totals:
        return CheckResult("parity", True, f"{report.points} points are exactly the chunks of the rows", figures)
    found = ", ".join(f"{count} {kind}" for kind, count in totals.items())
    share = sum(totals.values()) / max(1, report.expected)
    return CheckResult(
        "parity", False, f"index and rows differ: {found} ({share:.2%} of {report.expected} chunks)", figures
    )


def recall(report: VerifyReport) -> CheckResult:
    """Recall: searches by the graph find the nearest points that exact search finds, and nearly every point."""
    measured = report.recall
    figures: dict[str, Any] = {"retrieved": report.retrieved, "missed": report.missed}
    if measured is None:
        return CheckResult("recall", True, "there are too few points to compare", figures)
    figures |= {"recall": round(measured.share, 4), "searches": measured.searches}
    detail = (
        f"searches find {measured.share:.3f} of the exact ten nearest ({measured.searches} compared), "
        f"{report.missed} of {report.retrieved} points are not reached"
    )
    return CheckResult("recall", not GRAPH.intersection(report.totals), detail, figures)


def _not_arrived(candidate: CheckedGeneration) -> int:
    """Count pending document versions that are still pending after `_ARRIVAL_SECONDS`."""
    name = candidate.row.name
    with candidate.store.engine.connect() as connection:
        try:
            waiting = sum(generations.remember_pending(connection, name).values())
            deadline = time.monotonic() + _ARRIVAL_SECONDS
            while waiting and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                waiting = generations.still_pending(connection, name)
                connection.commit()
        finally:
            connection.invalidate()  # its snapshot must not go back to the pool
    return waiting


def coverage(candidate: CheckedGeneration) -> CheckResult:
    """Coverage: all text except white space is in a chunk, so that a chunker that drops any kind of block fails."""
    chunker = candidate.row.chunker
    missed: Counter[str] = Counter()
    documents = lost = whole = 0
    examples: list[str] = []
    with candidate.store.snapshot() as connection:  # a text and its chunks are two statements
        after = uuid.UUID(int=0)
        while page := rows.chunked_page(connection, chunker, after, _PAGE):
            after = page[-1].doc_id
            spans = rows.spans(connection, chunker, [row.doc_id for row in page])
            connection.commit()
            for row in page:
                gone = _uncovered(row.text, row.blocks, spans.get(row.doc_id, []))
                whole += len(row.text)
                if gone:
                    documents, lost, missed = documents + 1, lost + gone.total(), missed + gone
                    examples += [row.locator][: _MISSES_SHOWN - len(examples)]
        rejected = rows.rejected(connection, chunker)
    figures = {"characters": whole, "lost_characters": lost, "documents": documents, "rejected": rejected, **missed}
    if not lost:
        return CheckResult("coverage", True, "all text is in some chunk", figures)
    kinds = ", ".join(f"{count} in {kind}" for kind, count in missed.most_common())
    detail = f"{lost} characters of {documents} documents are in no chunk ({kinds}), first in {', '.join(examples)}"
    return CheckResult("coverage", False, detail, figures)


def _uncovered(content: str, blocks: list[list[Any]], spans: list[tuple[int, int]]) -> Counter[str]:
    """Count the characters outside of all spans, by the kind of their block."""
    gone: Counter[str] = Counter()
    reached = 0
    for start, end in [*spans, (len(content), len(content))]:
        for position in range(reached, start):
            if not content[position].isspace():
                gone[_kind_at(blocks, position)] += 1
        reached = max(reached, end)
    return gone


def _kind_at(blocks: list[list[Any]], position: int) -> str:
    return next((str(kind) for kind, start, end, _ in blocks if start <= position < end), "text")


def vectors(candidate: CheckedGeneration, embedder: Embedder) -> CheckResult:
    """Vectors: dimensions agree, and stored vectors match what the embedder computes for their texts now."""
    row = candidate.row
    spec = next((spec for spec in candidate.index.generations() if spec.name == row.name), None)
    figures: dict[str, Any] = {"dimensions": row.dimensions, "embedder_dimensions": embedder.dimensions}
    if spec is None or {spec.dimensions, embedder.dimensions} != {row.dimensions}:
        has = "no collection" if spec is None else f"a collection of {spec.dimensions} dimensions"
        detail = f"the generation has {row.dimensions} dimensions, {has}, an embedder of {embedder.dimensions}"
        return CheckResult("vectors", False, detail, figures)
    texts, stored = _stored(candidate, remote=embedder.remote)
    if not texts:
        return CheckResult("vectors", False, "there is no vector to check", figures)
    if any(vector.shape != (row.dimensions,) for vector in stored):
        odd = next(vector.shape[0] for vector in stored if vector.shape != (row.dimensions,))
        return CheckResult(
            "vectors", False, f"a stored vector has {odd} dimensions instead of {row.dimensions}", figures
        )
    held = _unit(np.stack(stored))
    with sending(OWN_TEXT):  # the texts were chosen by the policies of their sources
        cosines = np.sum(held * _unit(embedder.embed_passages(texts)), axis=1)
    other = int((cosines < SAME).sum())
    alike = _likeness(held)
    lowest, middle = float(cosines.min()), float(np.median(cosines))
    figures |= {
        "sampled": len(texts),
        "others": other,
        "lowest_cosine": lowest,
        "median_cosine": middle,
        "alike": alike,
    }
    if other or middle < TYPICAL:
        detail = (
            f"{other or 'most'} of {len(texts)} stored vectors are not what the embedder gives for their text "
            f"(median cosine {middle:.3f}, least {lowest:.3f}): another prefix, another model, "
            "or vectors of other texts"
        )
        return CheckResult("vectors", False, detail, figures)
    if alike > ALIKE:
        return CheckResult("vectors", False, f"all vectors are alike (mean cosine {alike:.4f})", figures)
    return CheckResult(
        "vectors", True, f"{len(texts)} of {len(texts)} sampled vectors are what the embedder gives", figures
    )


def _stored(candidate: CheckedGeneration, *, remote: bool) -> tuple[list[str], list[Vectors]]:
    """Texts with their vectors; for a remote model only what may go there."""
    row = candidate.row
    with candidate.store.engine.connect() as connection:
        without = []
        if remote:
            policy = tenants.directory(connection, candidate.settings).policy
            without = [one for one in rows.every_source(connection) if not policy(one[0]).allows(Use.EMBED, one[1])]
        found = rows.sampled_vectors(
            connection,
            chunker=row.chunker,
            embedder=row.embedder,
            seed=row.name,
            sample=SAMPLE_TEXTS,
            without=without,
        )
    return [content for content, _ in found], [decode(vector) for _, vector in found]


def _unit(held: Vectors) -> Vectors:
    norms = np.linalg.norm(held, axis=1, keepdims=True)
    return np.asarray(held / np.maximum(norms, 1e-12), np.float32)


def _likeness(rows: Vectors) -> float:
    """Mean cosine between different rows; 0 for fewer than two."""
    count = len(rows)
    return float((np.sum(rows @ rows.T) - count) / (count * (count - 1))) if count > 1 else 0.0


def size(candidate: CheckedGeneration, baseline: Generation | None) -> CheckResult:
    """Size: points and bytes of vectors against the active generation; shows mistakes in a chunker's settings."""
    points = candidate.index.count(candidate.row.name)
    figures: dict[str, Any] = {"points": points, "vector_bytes": points * candidate.row.dimensions * 4}
    if points == 0:
        return CheckResult("size", False, "the generation is empty", figures)
    if baseline is None:
        return CheckResult("size", True, f"{points} points", figures)
    before = candidate.index.count(baseline.name)
    figures |= {"baseline_points": before, "baseline_vector_bytes": before * baseline.dimensions * 4}
    growth = figures["vector_bytes"] / max(1, figures["baseline_vector_bytes"])
    figures["growth"] = round(growth, 3)
    detail = f"{points} points against {before}, vectors {growth:.2f} times as large"
    return CheckResult("size", growth <= MAX_GROWTH, detail, figures)
