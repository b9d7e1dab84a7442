"""Ending the runs of a source, as the console does before it removes one."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from rag_core.content.sources import Source
from rag_core.database import open_store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.audit import audit_store
from rag_core.settings import Settings
from ragctl.dagster import DagsterApi
from ragctl.local_stack.ingest import SourceJob, runs_of

_GOING_ON = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED"}
_BACKFILLS = """{ partitionBackfillsOrError(status: REQUESTED, limit: 100) { __typename ... on PartitionBackfills {
  results { id assetSelection { path } } } ... on Error { message } } }"""
_CANCEL = """mutation($id: String!) { done: cancelPartitionBackfill(backfillId: $id) { __typename
  ... on UnauthorizedError { message } ... on PythonError { message } } }"""
_TERMINATE = """mutation($id: String!) { done: terminateRun(runId: $id) { __typename
  ... on TerminateRunFailure { message } ... on RunNotFoundError { message } ... on UnauthorizedError { message }
  ... on PythonError { message } } }"""


def end_runs(api: DagsterApi, settings: Settings, source: Source, *, actor: str) -> list[str]:
    """End what is queued and under way of a source, backfills first: they start further runs. Returns what was ended.

    Each is recorded in the audit log before it is asked for, so that none ends unseen. Raises `Unavailable`
    (`DAGSTER_UNAVAILABLE`, `DATABASE_UNAVAILABLE`).
    """
    job = SourceJob(source.name, source.name.replace("-", "_"), 1)
    found = api.query(_BACKFILLS)["partitionBackfillsOrError"]["results"]
    backfills = [str(item["id"]) for item in found if _selects(item, job.key)]
    runs = [str(run["runId"]) for run in runs_of(api, job) if run["status"] in _GOING_ON]
    if not backfills and not runs:
        return []
    details = {"tenant": source.tenant, "source": source.name, "reason": "the source is deleted"}
    with closing(open_store(settings)) as store:
        for document, ids in ((_CANCEL, backfills), (_TERMINATE, runs)):
            for run in ids:
                with store.engine.begin() as connection:
                    audit_store.record(connection, actor=actor, action="dagster.terminate", target=run, details=details)
                _require_done(api.query(document, id=run)["done"], run)
    return [*backfills, *runs]


def _selects(backfill: dict[str, Any], key: str) -> bool:
    return any(asset["path"][0] == key for asset in backfill.get("assetSelection") or ())


def _require_done(answer: dict[str, Any], what: str) -> None:
    # A run that ended meanwhile cannot be terminated, and need not be.
    if answer["__typename"] not in {"TerminateRunSuccess", "TerminateRunFailure", "CancelBackfillSuccess"}:
        message = str(answer.get("message", "")).strip().partition("\n")[0]
        raise Unavailable(Reason.DAGSTER_UNAVAILABLE, f"{what} was not ended: {message}")
