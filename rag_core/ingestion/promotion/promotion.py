"""Declare, promote, roll back and retire generations; each step is audited with actor and reason.

A promotion first changes the active generation in PostgreSQL, then the alias in the index. When a process dies in
between, the same command or the next run of any source moves the alias.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_core import failpoints
from rag_core.answering.evaluation import run_store as evaluations
from rag_core.database import Store, locks
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.generations import Generation, Transforms
from rag_core.ingestion.generations import replica_store as replicas
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Extent, default_name, index_pending
from rag_core.ingestion.promotion.retrieval import MIN_QUESTIONS
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from rag_core.settings import Settings

_POLL_SECONDS = 0.1
_LOOKS = 5
_ROLLBACK = "index.rollback"


@dataclass(frozen=True, slots=True)
class PromotionResult:
    """Readers were moved from `before` to `active` in `seconds`.

    `pending` documents changed so recently that they are not indexed yet; the next run of their source indexes them.
    """

    active: str
    before: str | None
    pending: int
    seconds: float


def declare(
    store: Store, index: VectorIndex, transforms: Transforms, *, name: str | None = None, actor: str, reason: str = ""
) -> Generation:
    """Create a generation in state `building` with these transforms; from now on it receives writes.

    Returns an existing one of that name unchanged while it is building, so a command can be repeated. Raises `Conflict`
    (`GENERATION_STATE`) when it has other transforms or is past building.
    """
    embedder, chunker = transforms.fingerprints
    chosen = name or default_name(embedder, chunker)
    spec = GenerationSpec(chosen, transforms.embedder.dimensions, embedder, chunker)
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "generations")
        known = {row.name: row for row in generations.all_of(connection)}.get(chosen)
        if known is None or known.state == "retired":
            if known is not None:
                generations.clear_indexed(connection, chosen)
            generations.add(connection, spec, transforms.generation_config, actor=actor, reason=reason)
            details = {"settings": dict(transforms.generation_config), "reason": reason}
            audit.record(connection, actor=actor, action="index.build", target=chosen, details=details)
        elif known.spec != spec:
            raise Conflict(Reason.GENERATION_STATE, f"generation {chosen} exists with other settings; choose a --name")
        elif known.state != "building":
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {chosen} is {known.state} with exactly these settings; choose a --name to build another",
            )
    index.create(spec)
    with store.engine.connect() as connection:
        return generations.get(connection, chosen)


def promote(
    store: Store, index: VectorIndex, name: str, settings: Settings, *, actor: str, reason: str = "", override: str = ""
) -> PromotionResult:
    """Move readers to a `ready` generation that passed the gate. Promoting the active one repairs the alias.

    `reason` is kept in the audit; `override` is the reason for promoting one that failed the gate or was never
    evaluated. Raises `Conflict`:
    `GENERATION_STATE` unless ready, `GENERATION_REFUSED` with the figures, `REPLICA_UNPREPARED` when a query server
    does not load the query model within `promote_wait_seconds`.
    """
    started = time.monotonic()
    with store.engine.connect() as connection:
        row = generations.get(connection, name)
    if row.state not in generations.COMPLETE:
        raise Conflict(Reason.GENERATION_STATE, f"generation {name} is {row.state}; only a ready one can be promoted")
    if row.state == "ready":
        verdict = refusal(row)
        if verdict and not override:
            raise Conflict(Reason.GENERATION_REFUSED, f"generation {name}: {verdict}", generation=name)
        details = {"reason": reason} | ({"override": override, "refused": verdict} if verdict else {})
        return _move(store, index, row, settings, actor, "index.promote", details, started)
    index.promote(name)
    return PromotionResult(name, row.promoted_from, _pending(store, name), time.monotonic() - started)


def is_successor(active: Generation | None, row: Generation) -> bool:
    """Return whether `row` is to replace an active generation that cannot be computed any more and so gets no new text.

    It is when the gate passed it; a gate without enough golden questions to compare retrieval counts as passed, because
    an index that nothing new reaches is worse. What was active before is not: an operator left it.
    """
    if active is None or not active.not_reproducible or row.not_reproducible:
        return False
    if row.state != "ready" or row.evaluation is None or row.promoted_at is not None:
        return False
    return all(check["passed"] or _is_unmeasured(check) for check in row.evaluation.get("checks", []))


def _is_unmeasured(check: Mapping[str, Any]) -> bool:
    return bool(check["name"] == "retrieval" and 0 <= check["figures"].get("questions", -1) < MIN_QUESTIONS)


def promote_successor(
    store: Store, index: VectorIndex, name: str, settings: Settings, *, actor: str
) -> PromotionResult | None:
    """Promote a generation if it is the successor of the active one (`is_successor`). Raises as `promote`.

    Unlike an override it is still refused when its points do not match the rows by now.
    """
    started = time.monotonic()
    with store.engine.connect() as connection:
        active, row = generations.active(connection), generations.get(connection, name)
    if not settings.promote_successors or active is None or not is_successor(active, row):
        return None
    details = {"reason": f"{active.name} cannot be computed any more", "refused": refusal(row)}
    return _move(store, index, row, settings, actor, "index.promote", details, started)


def rollback(store: Store, index: VectorIndex, settings: Settings, *, actor: str, reason: str = "") -> PromotionResult:
    """Move readers back to the previously active generation, which still receives writes, so nothing is lost.

    Run it again to finish an interrupted rollback; a second rollback does not move readers forward again. Raises
    `NotFound` (`GENERATION_NOT_FOUND`) when there is no previous generation, `Conflict` (`GENERATION_STATE`) when its
    grace period is over.
    """
    started = time.monotonic()
    with store.engine.connect() as connection:
        active = generations.active(connection)
        if active is not None and active.promoted_from is not None:
            row = generations.get(connection, active.promoted_from)
    if active is None or active.promoted_from is None:
        return _finish_rollback(store, index, active, started)
    if row.state != "ready":
        raise Conflict(
            Reason.GENERATION_STATE, f"generation {row.name} is {row.state}: its grace period is over; build it again"
        )
    return _move(store, index, row, settings, actor, _ROLLBACK, {"reason": reason}, started)


def retire(store: Store, index: VectorIndex, name: str, *, actor: str, reason: str = "", now: bool = False) -> None:
    """Retire a generation that is not active: it receives no more writes and its files are deleted; its row stays.

    Raises `Conflict` (`GENERATION_STATE`) for the active one, and within the grace period unless `now`.
    """
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "generations")
        row = generations.get(connection, name)
        if row.state == "active":
            raise Conflict(Reason.GENERATION_STATE, f"generation {name} is active; promote another one first")
        if row.keep_until is not None and row.keep_until > datetime.now(UTC) and not now and row.state != "retired":
            until = row.keep_until.isoformat(timespec="minutes")
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {name} is kept for a rollback until {until}; set `now` (`--now`) to end it before",
            )
        if row.state != "retired":
            generations.change(connection, name, state="retired", retired_at=generations.NOW, keep_until=None)
            audit.record(connection, actor=actor, action="index.retire", target=name, details={"reason": reason})
    failpoints.reach("after_retire_commit")
    # A run that listed the generations before this may still write, and would fail on a missing collection.
    with locks.exclusive_connection(store, wait=60) as connection:
        generations.clear_indexed(connection, name)
        connection.commit()
        failpoints.reach("before_retire_drop")
        index.drop(name)  # last: as long as its files exist, `retire_expired` resumes an interrupted retirement


def retire_expired(store: Store, index: VectorIndex) -> list[str]:
    """Retire every generation whose grace period is over, and finish retirements that a crash interrupted."""
    with store.engine.connect() as connection:
        rows = generations.all_of(connection)
    held = {spec.name for spec in index.generations()}
    over = [
        row.name
        for row in rows
        if (row.state == "ready" and row.keep_until is not None and row.keep_until <= datetime.now(UTC))
        or (row.state == "retired" and row.name in held)
    ]
    for name in over:
        retire(store, index, name, actor="pipeline", reason="the grace period is over")
    return over


def refusal(row: Generation) -> str:
    """The reason why the gate refuses a generation, with the figures; empty when it passed."""
    if row.evaluation is None:
        return "it was never evaluated (`rag index evaluate`)"
    failed = [check for check in row.evaluation.get("checks", []) if not check["passed"]]
    return "; ".join(f"{check['name']}: {check['detail']}" for check in failed)


def _finish_rollback(store: Store, index: VectorIndex, active: Generation | None, started: float) -> PromotionResult:
    """Move the alias after an interrupted rollback. Raises `NotFound` when there is nothing to finish."""
    before = index.alias()
    if active is None or before == active.name:
        message = (
            "" if active is None else f"; readers are on {active.name}, and another one can be promoted by its name"
        )
        raise NotFound(Reason.GENERATION_NOT_FOUND, f"there is no generation to roll back to{message}")
    index.promote(active.name)
    return PromotionResult(active.name, before, _pending(store, active.name), time.monotonic() - started)


def _move(
    store: Store,
    index: VectorIndex,
    row: Generation,
    settings: Settings,
    actor: str,
    action: str,
    details: Mapping[str, Any],
    started: float,
) -> PromotionResult:
    _require_replicas(store, row, settings.promote_wait_seconds)
    _index_pending(store, index, row)
    if not details.get("override"):
        _require_parity(store, index, row)
    keep = timedelta(hours=settings.generation_grace_hours)
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "generations")
        before = generations.active(connection)
        if before is None or before.name != row.name:
            generations.activate(connection, row.name, keep=keep, back=action == _ROLLBACK)
            evaluations.follow(connection, row.name)
            record = {**details, "from": before.name if before else None}
            audit.record(connection, actor=actor, action=action, target=row.name, details=record)
    failpoints.reach("after_promote_commit")
    index.promote(row.name)
    failpoints.reach("after_alias_move")
    seconds = time.monotonic() - started
    return PromotionResult(row.name, before.name if before else None, _pending(store, row.name), seconds)


def _require_replicas(store: Store, row: Generation, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with store.engine.connect() as connection:
            missing = replicas.unprepared(connection, row.embedder)
        if not missing:
            return
        if time.monotonic() >= deadline:
            raise Conflict(
                Reason.REPLICA_UNPREPARED,
                f"{len(missing)} query server(s) have not loaded the query model of {row.name}: {', '.join(missing)}",
            )
        time.sleep(_POLL_SECONDS)


def _index_pending(store: Store, index: VectorIndex, row: Generation) -> None:
    """Index the pending documents that are ready. Shards that a run works on are left to that run."""
    with store.engine.connect() as connection:
        shards = generations.pending_by_shard(connection, row.name)
    for shard in shards:
        try:
            with locks.shard_connection(store, *shard, wait=1) as connection:
                index_pending(connection, index, row, Extent(shard))
        except Conflict as error:
            if error.reason is not Reason.SOURCE_BUSY:
                raise


def _require_parity(store: Store, index: VectorIndex, row: Generation) -> None:
    """Compare the point count with the rows once more, because the gate's result may be hours old.

    It polls, because a run may be between its write to the index and its mark.
    """
    for _ in range(_LOOKS):
        with store.engine.connect() as connection:
            expected = generations.expected_points(connection, row)
            points = index.count(row.name)
            if points == expected or generations.pending_by_shard(connection, row.name):
                return
        time.sleep(_POLL_SECONDS)
    raise Conflict(
        Reason.GENERATION_REFUSED,
        f"generation {row.name}: the index has {points} points, PostgreSQL expects {expected}; `rag verify` lists them",
    )


def _pending(store: Store, name: str) -> int:
    with store.engine.connect() as connection:
        return sum(generations.pending_by_shard(connection, name).values())
