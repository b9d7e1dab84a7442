"""Releases that a target's configuration asks for: `helm upgrade` and `helm rollback` only say which one.

A wanted release is started once. One that was refused or rolled back automatically is started again by another upgrade
(`follow`); one that an operator rolled back is not: a repetition does not undo an operator's decision.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection

from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.governance.audit import SWITCH, Deployment, DeploymentState, Step
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.rollout.service import Deployments, DeployRequest
from ragctl.rollout.targets import TargetName
from ragctl.rollout.targets.base import COLOURS, other, serving_colour

ACTOR = "chart"
_POLL_SECONDS = 1.0
_LOCK_SECONDS = 5.0


def start_wanted(known: Deployments, *, again: int = 0) -> Deployment | None:
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
        wanted = DeployRequest(release, ACTOR, "wanted by the chart", declared=True)
        return deployer.run(known.begin(deployer.connection, wanted, wanted=SWITCH, wanted_by=ACTOR))


def serve_wanted(known: Deployments) -> Deployment:
    """Deploy the wanted release, in whichever process, and return its deployment when it has ended.

    Raises `Conflict` (`CANDIDATE_UNHEALTHY`) when its servers are not ready in time after it has ended well.
    """
    again = _failed(known)
    while True:
        try:
            start_wanted(known, again=again)
            known.resume()
        except Conflict as error:
            if error.reason is not Reason.DEPLOYMENT_BUSY:
                raise
            known.on_progress("another process deploys")
        last, release = _last(known), known.target.wanted()
        if last is not None and last.state.final and release is not None and not _is_due(known, release, again):
            return _served(known, last)
        known.on_progress("waiting for the deployer")
        time.sleep(_POLL_SECONDS)


def _served(known: Deployments, row: Deployment) -> Deployment:
    deadline = time.monotonic() + known.settings.deploy_ready_seconds
    while row.state is DeploymentState.DONE and not (health := known.target.health(row.colour)).good:
        if time.monotonic() > deadline:
            raise Conflict(Reason.CANDIDATE_UNHEALTHY, f"{row.colour} is not ready: {health.detail}")
        known.on_progress(f"waiting for {row.colour}: {health.detail}")
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
    return (
        last.id if last.state in {DeploymentState.REFUSED, DeploymentState.ROLLED_BACK, DeploymentState.REPLACED} else 0
    )


def _last(known: Deployments) -> Deployment | None:
    with known.store.engine.connect() as connection:
        return deployments.newest_declared(connection, known.target.name)


def _record(known: Deployments, connection: Connection, release: Release, colour: str, detail: str) -> Deployment:
    """Record a deployment that is done at once: there is nothing to compare it with, or no traffic to shift."""
    request = DeployRequest(release, ACTOR, "wanted by the chart", declared=True)
    with connection.begin():
        row = deployments.add(
            connection,
            target=known.target.name,
            release=release.name,
            spec=release.spec | request.origin,
            colour=colour,
            from_colour=other(colour),
            state=DeploymentState.PREPARE,
            steps=[100],
            generation="",
            actor=ACTOR,
            why=request.why,
        )
        deployments.add_step(connection, row.id, Step(DeploymentState.PREPARE, True, 100, 0.0, detail=detail))
        details = {"release": row.release, "colour": colour, "detail": detail}
        audit.record(connection, actor=ACTOR, action="deploy.done", target=str(row.id), details=details)
        return deployments.change(
            connection, row.id, state=DeploymentState.DONE, weight=100, finished_at=datetime.now(UTC)
        )


# --------------------------------------------------------------------------------------------------------------------
# Releases as an operator names them on the command line.


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_IMAGE = re.compile(r"\A[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}")
_OWNED = {"RAG_HOME", "RAG_QUERY_PORT", "RAG_METRICS_PORT", "RAG_HOST"}
"""Variables that the stack itself sets for each server."""


def make_release(
    target: TargetName, name: str, *, python: str | None, assignments: Iterable[str], image: str | None
) -> Release:
    """Check and assemble. Raises `ConfigError` (`USAGE`, `SECRET_INLINE_FORBIDDEN`)."""
    environment = dict(map(_assignment, assignments))
    if _NAME.fullmatch(name) is None or name == FIRST_RELEASE:
        raise _wrong(f"--release: letters, digits and . _ + -, and not {FIRST_RELEASE!r}")
    if target == "kubernetes":
        if python or environment or image is None or _IMAGE.fullmatch(image) is None:
            raise _wrong("a cluster takes --image registry/query@sha256:… and neither --python nor --set")
        return Release(name, image=image)
    if image is not None:
        raise _wrong("--image is for --target kubernetes; the local stack takes --python and --set")
    if python is not None and not Path(python).is_file():
        raise _wrong(f"--python: no file {python}")
    return Release(name, str(Path(python).absolute()) if python else None, environment)


def _assignment(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    known = Settings.model_fields.get(name.removeprefix("RAG_").lower())
    if not name.startswith("RAG_") or known is None or name in _OWNED:
        raise _wrong(f"--set {name}: not a setting that a release may change; docs/reference/settings.md lists them")
    if SecretStr in (known.annotation, *getattr(known.annotation, "__args__", ())):
        raise ConfigError(
            Reason.SECRET_INLINE_FORBIDDEN, f"--set {name}: a secret would be stored and shown; give it to the stack"
        )
    return name, value


def _wrong(message: str) -> ConfigError:
    return ConfigError(Reason.USAGE, message)
