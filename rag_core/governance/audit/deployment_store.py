"""Rows of blue/green deployments, from which the deployer resumes after a crash, and figures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.database import locks
from rag_core.database.tables.operations import colours, deployment_steps, deployments
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.audit import audit_store as audit

SWITCH, ROLLBACK = "switch", "rollback"
DECLARED = "key"
"""Key in `spec`: the release that the target's configuration requests; absent when a command requested it."""


class DeploymentState(StrEnum):
    """The state of a deployment; the names of `ragproto.admin.v1.DeploymentState`."""

    PREPARE = "prepare"
    HEALTHY = "healthy"
    SMOKE = "smoke"
    READY = "ready"
    SHIFT = "shift"
    WATCH = "watch"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"
    REPLACED = "replaced"

    @property
    def final(self) -> bool:
        return self in _FINAL


_FINAL = {DeploymentState.DONE, DeploymentState.ROLLED_BACK, DeploymentState.REFUSED, DeploymentState.REPLACED}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row. `weight` is the intended share of requests in per cent; the target may lag behind it."""

    id: int
    target: str
    release: str
    spec: dict[str, Any]
    colour: str
    from_colour: str
    state: DeploymentState
    position: int
    steps: list[int]
    weight: int
    generation: str
    generation_before: str
    actor: str
    why: str
    wanted: str
    wanted_by: str
    wanted_why: str
    reason: str
    detail: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    keep_until: datetime | None

    @property
    def can_switch(self) -> bool:
        return self.state is DeploymentState.READY and not self.wanted

    @property
    def can_roll_back(self) -> bool:
        """True while it is in progress, or serves while the previous colour is still running."""
        if self.wanted == ROLLBACK or self.state is DeploymentState.ROLLING_BACK:
            return False
        kept = self.keep_until is not None and self.keep_until > datetime.now(UTC)
        return not self.state.final or (self.state is DeploymentState.DONE and kept)


@dataclass(frozen=True, slots=True)
class Step:
    """An action or an analysis result in a deployment's history. `figures` are numbers by name."""

    step: str
    passed: bool
    weight: int
    seconds: float
    reason: str = ""
    detail: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Colour:
    """The last observed state of a colour."""

    target: str
    name: str
    release: str
    weight: int
    servers: int
    healthy: int
    detail: str = ""
    keep_until: datetime | None = None
    seen_at: datetime | None = None


def add(connection: Connection, **values: Any) -> Deployment:
    """Begin a deployment. Raises `Conflict` (`DEPLOYMENT_BUSY`) while another one of its target is in progress."""
    locks.lock_transaction(connection, "deployments")
    if unfinished(connection, values["target"]) is not None:
        raise Conflict(Reason.DEPLOYMENT_BUSY, "another deployment is under way; `rag deploy status` shows it")
    # Its servers replace the colour that was kept for the rollback of an earlier deployment.
    kept = (deployments.c.target == values["target"], deployments.c.keep_until.is_not(None))
    connection.execute(update(deployments).where(*kept).values(keep_until=None))
    row = connection.execute(insert(deployments).values(**values).returning(deployments)).one()
    return _from_row(row)


def change(connection: Connection, number: int, **values: Any) -> Deployment:
    """Update columns of a deployment; returns the updated row."""
    known = dict(values)
    if "state" in known and DeploymentState(known["state"]).final:
        known.setdefault("finished_at", func.now())
    statement = update(deployments).where(deployments.c.id == number).values(**known, updated_at=func.now())
    return _from_row(connection.execute(statement.returning(deployments)).one())


def get(connection: Connection, number: int = 0) -> Deployment:
    """One deployment; number 0 means the newest. Raises `NotFound` (`DEPLOYMENT_NOT_FOUND`)."""
    statement = select(deployments).order_by(deployments.c.id.desc()).limit(1)
    row = connection.execute(statement.where(deployments.c.id == number) if number else statement).one_or_none()
    if row is None:
        raise NotFound(
            Reason.DEPLOYMENT_NOT_FOUND, f"deployment: no number {number}" if number else "no deployment yet"
        )
    return _from_row(row)


def page(connection: Connection, limit: int, *, before: int | None = None, target: str = "") -> list[Deployment]:
    """Deployments, newest first; with `before` only those with a smaller number."""
    statement = select(deployments).order_by(deployments.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(deployments.c.id < before)
    if target:
        statement = statement.where(deployments.c.target == target)
    return [_from_row(row) for row in connection.execute(statement)]


def unfinished(connection: Connection, target: str) -> Deployment | None:
    """The deployment in progress."""
    statement = select(deployments).where(deployments.c.target == target, deployments.c.finished_at.is_(None))
    row = connection.execute(statement).one_or_none()
    return None if row is None else _from_row(row)


def newest(connection: Connection, target: str) -> Deployment | None:
    """The newest deployment of a target."""
    found = page(connection, 1, target=target)
    return found[0] if found else None


def newest_declared(connection: Connection, target: str) -> Deployment | None:
    """The newest deployment that a target's configuration requested, not a command."""
    statement = select(deployments).where(deployments.c.target == target, deployments.c.spec.has_key(DECLARED))
    row = connection.execute(statement.order_by(deployments.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _from_row(row)


def request_change(
    connection: Connection, number: int, what: str, *, actor: str, why: str, tenant: str | None
) -> Deployment:
    """Request a switch or a rollback; audited. Raises `NotFound`, `Conflict` (`DEPLOYMENT_STATE`)."""
    locks.lock_transaction(connection, "deployments")
    row = get(connection, number)
    if not (row.can_switch if what == SWITCH else row.can_roll_back):
        waits = f" and a {row.wanted} was asked for already" if row.wanted else ""
        raise Conflict(Reason.DEPLOYMENT_STATE, f"deployment {row.id} is {row.state}{waits}: no {what} is possible now")
    details = {"release": row.release, "reason": why, "state": row.state}
    action = f"deploy.{what}"
    audit.record(connection, actor=actor, action=action, target=str(row.id), details=details, tenant=tenant)
    return change(connection, row.id, wanted=what, wanted_by=actor, wanted_why=why)


def add_step(connection: Connection, number: int, step: Step) -> None:
    """Append to the history of a deployment."""
    values = {name: getattr(step, name) for name in Step.__slots__ if name != "at"}
    connection.execute(insert(deployment_steps).values(deployment=number, **values | {"figures": dict(step.figures)}))


def history(connection: Connection, number: int) -> list[Step]:
    """The history of a deployment, oldest step first."""
    selected = [deployment_steps.c[name] for name in Step.__slots__]
    statement = select(*selected).where(deployment_steps.c.deployment == number).order_by(deployment_steps.c.id)
    return [Step(**row._mapping) for row in connection.execute(statement)]


def save_colours(connection: Connection, target: str, seen: Sequence[Colour]) -> None:
    """Store the observed state of a target's colours."""
    connection.execute(delete(colours).where(colours.c.target == target, ~colours.c.name.in_([c.name for c in seen])))
    for colour in seen:
        values = {name: getattr(colour, name) for name in Colour.__slots__} | {"seen_at": func.now()}
        statement = upsert(colours).values(**values)
        connection.execute(statement.on_conflict_do_update(constraint=colours.primary_key, set_=values))


def load_colours(connection: Connection) -> list[Colour]:
    """The last observed state of colours, by target and name."""
    statement = select(*(colours.c[name] for name in Colour.__slots__)).order_by(colours.c.target, colours.c.name)
    return [Colour(*row) for row in connection.execute(statement)]


def _from_row(row: Row[Any]) -> Deployment:
    values: dict[str, Any] = dict(row._mapping)
    return Deployment(**{**values, "state": DeploymentState(values["state"])})


DAYS = 30
_OUTCOMES = text(
    "SELECT state, count(*) AS found,"
    " percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at)) AS seconds"
    " FROM rag.deployments WHERE finished_at > now() - make_interval(days => :days) GROUP BY state"
)
_RESTORED = text(
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.finished_at - failed.at))"
    " FROM rag.deployments d JOIN LATERAL"
    " (SELECT min(s.at) AS at FROM rag.deployment_steps s WHERE s.deployment = d.id AND NOT s.passed) failed"
    " ON failed.at IS NOT NULL"
    " WHERE d.state = 'rolled_back' AND d.finished_at > now() - make_interval(days => :days)"
)


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """Deployments that ended in the last `DAYS` days. Times are medians, `None` where nothing of the kind ended."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Number by final state."""
    lead_seconds: float | None = None
    """From the request of a release until it serves all traffic."""
    restore_seconds: float | None = None
    """From the first failed step of a deployment until the release before serves all traffic again."""


def delivery_figures(connection: Connection) -> DeliveryFigures:
    """Return the figures of the last `DAYS` days."""
    rows = connection.execute(_OUTCOMES, {"days": DAYS}).all()
    restored = connection.scalar(_RESTORED, {"days": DAYS})
    lead = {row.state: float(row.seconds) for row in rows}.get("done")
    return DeliveryFigures({row.state: row.found for row in rows}, lead, None if restored is None else float(restored))
