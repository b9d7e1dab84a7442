"""Releases that the configuration of a target wants: `helm upgrade` and `helm rollback` only say which one.

A release that is wanted is begun once. One that was refused or went back by itself is begun again when somebody runs
the upgrade again (`follow`); one that an operator rolled back is not: a repetition does not undo what a person decided.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sqlalchemy import Connection

from rag_core.errors import Conflict, Reason
from rag_core.store import audit, deployments
from rag_core.store.deployments import SWITCH, Deployment, State, Step
from ragctl.deploy.service import Deployments, Request
from ragctl.deploy.targets.base import COLOURS, other, serving_colour
from ragctl.gateway.colours import Release

ACTOR = "chart"
_POLL_SECONDS = 1.0
_LOCK_SECONDS = 5.0


def take(known: Deployments, *, again: int = 0) -> Deployment | None:
    """Begin what is wanted and do all of it; None when it was taken before. `again` is a failed one to try once more.

    Raises `Conflict` (`DEPLOYMENT_BUSY`, `DEPLOYMENT_STATE`) as every other deployment does.
    """
    release = known.target.wanted()
    if release is None or not _is_due(known, release, again):
        return None
    with known.deployer(_LOCK_SECONDS) as deployer:
        if not _is_due(known, release, again):  # another process was faster
            return None
        if not any(known.target.release(colour) for colour in COLOURS):
            known.target.start("blue", release)
            known.target.shift(0)
            return _record(known, deployer.connection, release, "blue", "nothing ran before it")
        serving = serving_colour(known.target)
        if known.target.runs(serving, release):
            return _record(known, deployer.connection, release, serving, "it serves already")
        wanted = Request(release, ACTOR, "wanted by the chart", declared=True)
        return deployer.run(known.begin(deployer.connection, wanted, wanted=SWITCH, wanted_by=ACTOR))


def follow(known: Deployments) -> Deployment:
    """Have what is wanted served, whichever process does it, and return its deployment when that has ended.

    Raises `Conflict` (`CANDIDATE_UNHEALTHY`) when its servers are not ready in time after it has ended well.
    """
    again = _failed(known)
    while True:
        try:
            take(known, again=again)
            known.resume()
        except Conflict as error:
            if error.reason is not Reason.DEPLOYMENT_BUSY:
                raise
            known.tell("another process deploys")
        last, release = _last(known), known.target.wanted()
        if last is not None and last.state.final and release is not None and not _is_due(known, release, again):
            return _served(known, last)
        known.tell("waiting for the deployer")
        time.sleep(_POLL_SECONDS)


def _served(known: Deployments, row: Deployment) -> Deployment:
    deadline = time.monotonic() + known.settings.deploy_ready_seconds
    while row.state is State.DONE and not (health := known.target.health(row.colour)).good:
        if time.monotonic() > deadline:
            raise Conflict(Reason.CANDIDATE_UNHEALTHY, f"{row.colour} is not ready: {health.detail}")
        known.tell(f"waiting for {row.colour}: {health.detail}")
        time.sleep(_POLL_SECONDS)
    return row


def _is_due(known: Deployments, release: Release, again: int) -> bool:
    last = _last(known)
    return last is None or last.spec[deployments.DECLARED] != release.key or last.id == again


def _failed(known: Deployments) -> int:
    """The number of the last one if it may be tried again; 0 if not."""
    last = _last(known)
    if last is None or last.reason == Reason.ROLLBACK_REQUESTED:
        return 0
    return last.id if last.state in {State.REFUSED, State.ROLLED_BACK, State.REPLACED} else 0


def _last(known: Deployments) -> Deployment | None:
    with known.store.engine.connect() as connection:
        return deployments.newest_declared(connection, known.target.name)


def _record(known: Deployments, connection: Connection, release: Release, colour: str, detail: str) -> Deployment:
    """A row that is done as soon as it begins: there is nothing to judge it by, or nothing to move."""
    request = Request(release, ACTOR, "wanted by the chart", declared=True)
    with connection.begin():
        row = deployments.add(
            connection,
            target=known.target.name,
            release=release.name,
            spec=release.spec | request.origin,
            colour=colour,
            from_colour=other(colour),
            state=State.PREPARE,
            steps=[100],
            generation="",
            actor=ACTOR,
            why=request.why,
        )
        deployments.note(connection, row.id, Step(State.PREPARE, True, 100, 0.0, detail=detail))
        details = {"release": row.release, "colour": colour, "detail": detail}
        audit.record(connection, actor=ACTOR, action="deploy.done", target=str(row.id), details=details)
        return deployments.change(connection, row.id, state=State.DONE, weight=100, finished_at=datetime.now(UTC))
