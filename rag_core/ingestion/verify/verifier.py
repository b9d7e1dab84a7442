"""`rag verify`: compare the points that PostgreSQL expects with a full scroll of the index."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal, TypeGuard

from rag_core.database import Store
from rag_core.errors import NotFound, Reason
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Progress
from rag_core.ingestion.verify.compare import MergeJoin, payload_differences
from rag_core.ingestion.verify.recall import COMPARABLE, SAMPLE, ExactNearest
from rag_core.ingestion.verify.report import LATE, STRAY, Finding, FindingKind, Findings, VerifyReport
from rag_core.ingestion.verify.store import Expectation, GenerationRows
from rag_core.retrieval.index import GenerationSpec, IndexPoint, VectorIndex

Searched = Literal["all"] | int
"""The points to search by their own vector: all, or a random sample of this size."""
_PAGE = 256
"""Points that are searched by their own vector in one call."""
_REPORT_EVERY = 500
_RECOUNTS = 3


def verify(
    store: Store,
    index: VectorIndex,
    generation: str | None = None,
    *,
    self_retrieval: Searched = "all",
    progress: Progress | None = None,
) -> VerifyReport:
    """Compare a generation (default: the active one) with the rows, point by point.

    Reads in pages, so memory does not grow with the corpus. Documents that change while it runs are reported as
    `unindexed` at most, never as damage. Raises `NotFound` (`GENERATION_NOT_FOUND`) when the generation is missing in
    the database or the index, and the errors of the index (`INDEX_CORRUPT`, `INDEX_UNAVAILABLE`).
    """
    started = time.monotonic()
    findings = Findings()
    row = _generation(store, index, generation, findings)
    rows = GenerationRows(store, row)
    comparison = compare(index, row.spec, rows, findings, self_retrieval, progress)
    compared = set(findings.kept)
    states, chunks, held = rows.states()
    for finding in rows.document_findings():
        findings.add(finding)
    _withdraw_changing(index, row.name, rows, findings, comparison)
    _withdraw_arrived(index, row.name, rows, findings, compared)
    if held != chunks:
        detail = f"{chunks} chunks according to their documents, {held} rows"
        findings.add(Finding(FindingKind.ACCOUNTING, detail))
    for finding in comparison.graph_findings():
        findings.add(finding)
    if comparison.recall is not None:
        with store.engine.begin() as connection:
            generations.record_recall(connection, row.name, comparison.recall.share, comparison.recall.searches)
    return VerifyReport(
        generation=row.name,
        expected=comparison.expected,
        points=comparison.points.total(),
        retrieved=comparison.retrieved,
        missed=comparison.missed,
        unreached=tuple(comparison.unreached),
        recall=comparison.recall,
        documents=states,
        totals=dict(findings.totals),
        findings=tuple(findings.kept),
        seconds=time.monotonic() - started,
    )


def compare(
    index: VectorIndex,
    spec: GenerationSpec,
    expectation: Expectation,
    findings: Findings,
    self_retrieval: Searched = "all",
    progress: Progress | None = None,
) -> MergeJoin:
    """Compare a generation with any expectation: payloads, vectors, self-retrieval and counts."""
    for difference in index.differences(spec.name):
        findings.add(Finding(FindingKind.CONFIGURATION, difference))
    total = index.count(spec.name)
    comparison = MergeJoin(expectation, findings, spec.dimensions)
    points = (point for batch in index.scroll(spec.name) for point in batch)
    right = comparison.run(_reporting(points, progress, total))
    nearest, chance = ExactNearest(expectation.sample(SAMPLE)), _chance(self_retrieval, total)
    while page := list(islice(right, _PAGE)):
        nearest.add(page)
        comparison.search(index, spec.name, [point for point in page if chance()])
    if nearest.points >= COMPARABLE * comparison.points.total():
        comparison.recall = nearest.recall(index, spec.name)
    if index.count(spec.name) == total:  # otherwise a run is writing, and counts cannot agree with a scroll
        _check_counts(index, spec.name, comparison, findings)
    return comparison


def _chance(wanted: Searched, total: int) -> Callable[[], bool]:
    """Decides for each point whether it is searched: for all, or for a random sample of about the given size."""
    share = 1.0 if wanted == "all" else wanted / max(1, total)
    # Not a secret; a fixed seed would always test the same points.
    draw = random.Random()  # noqa: S311
    return lambda: share >= 1 or draw.random() < share


def _reporting(points: Iterator[IndexPoint], progress: Progress | None, total: int | None) -> Iterator[IndexPoint]:
    for number, point in enumerate(points):
        if progress is not None and number % _REPORT_EVERY == 0:
            progress(number, total)
        yield point


def _check_counts(index: VectorIndex, generation: str, comparison: MergeJoin, findings: Findings) -> None:
    expected: list[tuple[str | None, int]] = [(None, comparison.points.total()), *comparison.points.items()]
    for tenant, scrolled in expected:
        counted = index.count(generation, tenant=tenant) if tenant != "" else scrolled
        if counted != scrolled and not _agree_now(index, generation, tenant):
            whose = "in all" if tenant is None else "of one tenant"
            findings.add(Finding(FindingKind.COUNT_MISMATCH, f"counted {counted} points {whose}, scrolled {scrolled}"))


def _agree_now(index: VectorIndex, generation: str, tenant: str | None) -> bool:
    """Return whether a count and a scroll agree when they are repeated: a document that was written again between them
    leaves the count as it was, and the scroll with its old and new points."""
    for _ in range(_RECOUNTS):
        points = (point for batch in index.scroll(generation) for point in batch)
        if index.count(generation, tenant=tenant) == sum(tenant in (None, point.payload.tenant) for point in points):
            return True
    return False


def _generation(store: Store, index: VectorIndex, name: str | None, findings: Findings) -> Generation:
    alias = index.alias()
    with store.engine.connect() as connection:
        active = generations.active(connection)
        wanted = name or alias or (active.name if active else None)
        if wanted is None:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no index generation exists yet; run the pipeline once")
        row = generations.get(connection, wanted)
    if name is None and (active is None or active.name != alias):
        said = active.name if active else "none"
        findings.add(Finding(FindingKind.ALIAS_MISMATCH, f"readers see {alias}, the database calls {said} active"))
    return row


def _withdraw_changing(
    index: VectorIndex, generation: str, rows: GenerationRows, findings: Findings, comparison: MergeJoin
) -> None:
    """Remove findings of documents that changed between reading rows and points."""
    doubtful = [finding for finding in findings.kept if finding.doc_id is not None and finding.chunk_id is not None]
    if not doubtful:
        return
    moving = rows.changing(list({finding.doc_id for finding in doubtful if finding.doc_id}), comparison.versions)
    # An id that is no UUID is foreign, not a pending point of ours.
    ours = [finding.chunk_id for finding in doubtful if finding.kind in STRAY and _is_ours(finding.chunk_id)]
    standing = {point.chunk_id for point in index.fetch(generation, ours)} - rows.expected_now(ours)
    settled = set(ours) - standing
    findings.withdraw([finding for finding in doubtful if finding.doc_id in moving or finding.chunk_id in settled])


def _withdraw_arrived(
    index: VectorIndex, generation: str, rows: GenerationRows, findings: Findings, compared: set[Finding]
) -> None:
    """Remove findings of points whose row is newer than the scroll: they are correct when read again."""
    left = [finding for finding in findings.kept if finding in compared]
    late = [finding.chunk_id for finding in left if finding.kind in LATE and _is_ours(finding.chunk_id)]
    if not late:
        return
    wanted = rows.points_at(late)
    arrived = {
        point.chunk_id
        for point in index.fetch(generation, late)
        if point.chunk_id in wanted and not any(payload_differences(wanted[point.chunk_id].payload, point.payload))
    }
    findings.withdraw([finding for finding in left if finding.chunk_id in arrived])


def _is_ours(chunk_id: uuid.UUID | None) -> TypeGuard[uuid.UUID]:
    return chunk_id is not None and chunk_id.version == 5
