"""Run the later stages for every generation that receives writes, each with its own chunker and embedder.

A generation that is not active never fails a run or a push: its missing documents stay pending, its build or the next
run applies them, and until then the accounting counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

from rag_core.errors import RagError, Unavailable
from rag_core.ingestion.generations import Generation, TransformRegistry, Transforms
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline.base import StageResult, Work
from rag_core.ingestion.pipeline.stages.chunks import chunk_documents
from rag_core.ingestion.pipeline.stages.embeddings import embed_chunks
from rag_core.ingestion.pipeline.stages.index import index_documents
from rag_core.logging import get_logger
from rag_core.retrieval.index import VectorIndex

log = get_logger(__name__)


def chunk_for_targets(work: Work, registry: TransformRegistry) -> StageResult:
    """`chunk_documents` for the chunker of every target; before the first generation, for the installation's own.

    Counts are the active generation's; `followed` is the sum of documents chunked for others, `deferred` the number of
    other generations that could not be served now.
    """

    def chunk(transforms: Transforms, rows: Sequence[Generation]) -> StageResult:
        return chunk_documents(work, transforms.chunker, rows)

    return _for_all_transforms(
        work, registry.own, registry.chunker_for_generation, lambda row: row.chunker, chunk, "documents"
    )


def embed_for_targets(work: Work, registry: TransformRegistry) -> StageResult:
    """`embed_chunks` for the embedder and chunker of every target. Counts as `chunk_for_targets`."""

    def embed(transforms: Transforms, rows: Sequence[Generation]) -> StageResult:
        return embed_chunks(work, transforms.embedder, transforms.chunker.fingerprint, rows)

    return _for_all_transforms(
        work, registry.own, registry.for_generation, lambda row: (row.embedder, row.chunker), embed, "embedded"
    )


def index_for_targets(work: Work, index: VectorIndex) -> StageResult:
    """`index_documents` for every target. Counts are summed over them.

    Also `generations`, and `deferred`: how many of them are not active and could not be written to now. Raises the
    error of the active one.
    """
    rows = generations.write_targets(work.connection)
    work.connection.commit()
    made = [_unless_deferred(work, row, partial(index_documents, work, index, row)) for row in rows]
    counts = Counter(generations=len(rows), documents=0, upserted=0, removed=0, stale=0, deferred=made.count(None))
    results = [result for result in made if result is not None]
    for result in results:
        counts.update(result.counts)
    return StageResult("index", dict(counts), pending=sum(result.pending for result in results))


def _for_all_transforms(
    work: Work,
    own: Transforms,
    transforms_of: Callable[[Generation], Transforms],
    key: Callable[[Generation], Hashable],
    stage: Callable[[Transforms, Sequence[Generation]], StageResult],
    counted: str,
) -> StageResult:
    alike: dict[Hashable, list[Generation]] = {}
    for row in generations.write_targets(work.connection):
        alike.setdefault(key(row), []).append(row)
    work.connection.commit()
    leading = StageResult("") if alike else stage(own, [])
    others = Counter(followed=0, deferred=0)
    # The active generation comes last, so that its failure does not keep the others from being served.
    for rows in reversed(alike.values()):
        row = next((one for one in rows if one.complete), rows[0])
        result = _unless_deferred(work, row, partial(_with_transforms, transforms_of, row, rows, stage))
        if result is None:
            others["deferred"] += 1
        elif row.state == "active":
            leading = result
        else:
            others["followed"] += result.counts[counted]
    return replace(leading, counts={**leading.counts, **others})


def _with_transforms(
    transforms_of: Callable[[Generation], Transforms],
    row: Generation,
    rows: Sequence[Generation],
    stage: Callable[[Transforms, Sequence[Generation]], StageResult],
) -> StageResult:
    try:
        transforms = transforms_of(row)
    except RagError as error:
        if row.state != "active" or isinstance(error, Unavailable):
            raise  # the model may return; a generation that is not reproducible stays so
        log.warning("generation_not_reproducible", generation=row.name, message=error.message)
        return StageResult("", problem=error.reason, message=error.message)
    return stage(transforms, rows)


def _unless_deferred(work: Work, row: Generation, make: Callable[[], StageResult]) -> StageResult | None:
    """The result of one generation. Only a failure of the active one is raised; the others must not block changes."""
    try:
        return make()
    except RagError as error:
        work.connection.rollback()
        if row.state == "active":
            raise
        log.warning("generation_deferred", generation=row.name, reason=error.reason, message=error.message)
        return None
