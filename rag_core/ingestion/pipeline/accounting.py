"""The end of a run: accounting for its documents and assessing the quality of its source."""

from __future__ import annotations

from rag_core.content.quality import Assessment, assess
from rag_core.content.quality import store as quality
from rag_core.content.sources import Scope
from rag_core.database import Store
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import run_store as runs
from rag_core.ingestion.pipeline.base import DocumentCounts
from rag_core.ingestion.pipeline.run_store import NO_GENERATION
from rag_core.ingestion.pipeline.stages.document_sync import STAGE

# --------------------------------------------------------------------------------------------------------------------
# The accounting of a run: the counts of the first stage, compared with the current state of the rows.


def account(store: Store, scope: Scope) -> DocumentCounts:
    """Account for every item of a run over a shard. Call it after the index stage.

    The documents stage counts `read`, `deleted`, `skipped` and its failures item by item; `indexed`, `pending` and
    later failures are counted in the rows. A document that either count has lost makes `balanced` false. Until the
    documents stage has finished all counts but `pending` are zero.
    """
    key = (scope.source.tenant, scope.source.name, scope.shard)
    with store.engine.connect() as connection:
        following = generations.must_be_complete(connection)
        # One that cannot be computed any more gets no new text until its successor is built: not the fault of this run.
        known = generations.write_targets(connection)
        state = runs.shard_state(
            connection,
            *key,
            run_id=scope.run_id,
            generations=[row.name for row in following] if known else [NO_GENERATION],
            chunkers=sorted({row.chunker for row in following}),
        )
        tenant, source, shard = key
        counts = runs.counts(connection, run_id=scope.run_id, tenant=tenant, source=source, shard=shard, stage=STAGE)
    if not counts:
        return DocumentCounts(pending=state.pending)
    return DocumentCounts(
        read=counts["read"],
        indexed=state.indexed,
        unchanged=counts["unchanged"] - state.rejected_before,
        deleted=counts["deleted"],
        quarantined=counts["quarantined"] + state.rejected_now + state.rejected_before,
        skipped=counts["skipped"],
        pending=state.pending,
        held=counts["held"],
    )


# --------------------------------------------------------------------------------------------------------------------
# The quality of a source after a run: measured in the rows, compared with the last good run, stored.


def assess_quality(store: Store, scope: Scope, *, chunker: str, embedder: str, dimensions: int) -> Assessment:
    """Assess the quality of a shard after its index stage and store the result. Idempotent for a run."""
    key = (scope.source.tenant, scope.source.name, scope.shard)
    with store.engine.begin() as connection:
        profile, failed = quality.measure(
            connection, key, run_id=scope.run_id, chunker=chunker, embedder=embedder, dimensions=dimensions
        )
        counts = _document_counts(store, scope)
        tried = counts.get("added", 0) + counts.get("updated", 0) + failed
        before = quality.baseline(connection, key, before=scope.run_id)
        assessment = assess(profile, before, scope.source.quality, failed=failed, tried=tried)
        quality.record(connection, key, scope.run_id, profile, assessment)
    return assessment


def _document_counts(store: Store, scope: Scope) -> dict[str, int]:
    with store.engine.connect() as connection:
        return runs.counts(
            connection,
            run_id=scope.run_id,
            tenant=scope.source.tenant,
            source=scope.source.name,
            shard=scope.shard,
            stage=STAGE,
        )
