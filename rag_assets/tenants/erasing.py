"""Erases the tenants whose erasure was requested through the API, and sweeps what was written of them meanwhile."""

from __future__ import annotations

from rag_assets.tenants.files import outside
from rag_core.errors import RagError
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.erasure import erase_tenant, sweep_erased
from rag_core.ingestion.pipeline import Pipeline
from rag_core.logging import get_logger

log = get_logger(__name__)


def continue_erasures(pipeline: Pipeline) -> int:
    """Erase what waits for it; returns how many tenants. One that cannot be erased now waits for the next call."""
    with pipeline.store.engine.connect() as connection:
        waiting = tenants.erasing(connection)
    done = 0
    for name in waiting:
        try:
            erase_tenant(pipeline, name, outside=outside(pipeline.store, pipeline.settings))
            done += 1
        except RagError as error:
            log.warning("erasure_postponed", reason=error.reason, problem=error.message)
    sweep_erased(pipeline.store)
    return done
