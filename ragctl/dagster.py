"""Dagster's webserver, as the command line calls it, and the end of a source's runs."""

from __future__ import annotations

import ssl
from contextlib import closing
from typing import TYPE_CHECKING

from rag_core.content.sources import Source
from rag_core.database import open_store
from rag_core.errors import Exhausted, RagError, Reason, Unavailable
from rag_core.governance.audit import audit_store
from rag_core.settings import Settings
from ragctl.call_settings import reachable

if TYPE_CHECKING:
    from rag_clients.dagster import DagsterClient, Trouble
    from rag_core.settings import Settings


# The first queries of a webserver load the code location; on a busy machine that takes its time.
_TIMEOUT_SECONDS = 60.0


def dagster_client(settings: Settings, seconds: float = _TIMEOUT_SECONDS) -> DagsterClient:
    """A client whose every method may raise `Unavailable` (`DAGSTER_UNAVAILABLE`, `DATABASE_UNAVAILABLE`)."""
    import httpx

    from rag_clients.dagster import DagsterClient
    from rag_core.settings import DAGSTER_LOCATION

    # Plain HTTP on loopback: no proxy, and no trusted certificates (loading them costs more than a query).
    nothing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    http = httpx.Client(timeout=seconds, trust_env=False, verify=nothing)
    return DagsterClient(f"http://{reachable(settings.host)}:{settings.dagster_port}", DAGSTER_LOCATION, http, _error)


def _error(trouble: Trouble, message: str) -> RagError:
    said = message.strip().partition("\n")[0][:200] or "no data"
    texts = {
        "down": "the Dagster webserver does not answer; see `rag status`",
        "timeout": "Dagster's webserver or code server has not answered in time: it is busy; run it again in a moment",
        "invalid": f"Dagster did not answer a query: {said}; its version may not fit",
        "failed": f"Dagster did not answer a query: {said}",
        "refused": f"Dagster refused: {said}",
    }
    return _storage_failure(message) or Unavailable(Reason.DAGSTER_UNAVAILABLE, texts[trouble])


def _storage_failure(message: str) -> RagError | None:
    """Replace Dagster's message about a database error, which names drivers and statements, by our own error."""
    if "DiskFull" in message or "No space left on device" in message:
        return Exhausted(Reason.STORAGE_FULL, "the database has no space left; free space and run again")
    if "psycopg2" in message or "sqlalchemy.exc" in message or "dagster_postgres" in message:
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE, "Dagster cannot reach its database; run it again in a moment, see `rag status`"
        )
    return None


def end_runs(api: DagsterClient, settings: Settings, source: Source, *, actor: str) -> list[str]:
    """End what is queued and under way of a source, backfills first: they start further runs. Returns what was ended.

    Each is recorded in the audit log before it is asked for, so that none ends unseen. Raises `Unavailable`
    (`DAGSTER_UNAVAILABLE`, `DATABASE_UNAVAILABLE`).
    """
    backfills, runs = api.active_work(source.name.replace("-", "_"))
    if not backfills and not runs:
        return []
    details = {"tenant": source.tenant, "source": source.name, "reason": "the source is deleted"}
    with closing(open_store(settings)) as store:
        for run in (*backfills, *runs):
            with store.engine.begin() as connection:
                audit_store.record(connection, actor=actor, action="dagster.terminate", target=run, details=details)
            if run in backfills:
                api.cancel_backfill(run)
            else:
                api.terminate(run, ended_ok=True)
    return [*backfills, *runs]
