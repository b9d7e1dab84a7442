"""How good a source is after a run: measured in the rows, compared with the last good run, kept."""

from __future__ import annotations

from rag_core.pipeline.base import Scope
from rag_core.pipeline.stages.documents import STAGE
from rag_core.quality import Assessment, assess
from rag_core.store import quality, runs
from rag_core.store.engine import Store


def assess_quality(store: Store, scope: Scope, *, chunker: str, embedder: str, dimensions: int) -> Assessment:
    """Judge one shard after its index stage and store the result. Repeating it for the same run is harmless."""
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
