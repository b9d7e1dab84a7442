"""The accounting of a run: what the first stage counted, against the state the rows are in now."""

from __future__ import annotations

from rag_core.pipeline.base import DocumentCounts, Scope
from rag_core.pipeline.stages.documents import STAGE
from rag_core.store import accounting, generations, runs
from rag_core.store.engine import Store


def account(store: Store, scope: Scope) -> DocumentCounts:
    """Account for every item of a run over a shard. Call it after the index stage.

    `read`, `deleted`, `skipped` and the first-stage failures are what the documents stage counted item by item;
    `indexed`, `pending` and the later failures are counted in the rows, so a document that one of the two lost makes
    `balanced` false. Before the documents stage has finished all counts but `pending` are zero.
    """
    key = (scope.source.tenant, scope.source.name, scope.shard)
    with store.engine.connect() as connection:
        following = generations.accountable(connection)
        state = accounting.shard_state(
            connection,
            *key,
            run_id=scope.run_id,
            generations=[row.name for row in following],
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
