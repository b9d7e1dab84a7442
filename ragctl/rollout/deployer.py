"""The deployer: does the work of a deployment's state, then records the next state.

The next state is in PostgreSQL before its work begins, and each piece of work can be repeated. So a process that dies
anywhere leaves a row that the next process resumes from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.errors import ConfigError, Conflict, NotFound, Reason
from rag_core.governance.audit import ROLLBACK, Deployment, DeploymentState, Step
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from ragctl.gateway.colours import Release
from ragctl.rollout import policy
from ragctl.rollout.analysis import Generations, ReleaseAnalyser
from ragctl.rollout.metrics import analyse_traffic
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.targets.base import Health, Target

_POLL_SECONDS = 0.25
_SWITCHED = 100
OnProgress = Callable[[str], None]


@dataclass(slots=True)
class Deployer:
    """For one target. `connection` holds the lock of its deployments: when that is lost, nothing more is recorded."""

    connection: Connection
    target: Target
    analyser: ReleaseAnalyser
    generations: Generations
    settings: Settings
    on_progress: OnProgress = lambda text: None
    """Progress callback, called at least every few seconds."""

    def run(self, row: Deployment) -> Deployment:
        """Run until it has ended or waits for an operator; returns the row.

        Raises what the target or the database raises when it cannot be reached: run it again then.
        """
        while not policy.waits(row):
            changes = policy.begin(row, self._smoke_is_old(row))
            if changes:
                row = self._record(row, changes)
                continue
            failpoints.reach("deploy_recorded")
            began = time.monotonic()
            result = policy.withdrawn(row) or self._work(row)
            failpoints.reach("deploy_acted")
            # None: a request arrived meanwhile.
            row = self._read(row) if result is None else self._finish(row, result, time.monotonic() - began)
        return row

    def _work(self, row: Deployment) -> AnalysisResult | None:
        """Do the work of a state; None when a request interrupted it."""
        work: dict[DeploymentState, Callable[[Deployment], AnalysisResult | None]] = {
            DeploymentState.PREPARE: self._prepare,
            DeploymentState.HEALTHY: self._wait_healthy,
            DeploymentState.SMOKE: self._smoke,
            DeploymentState.SHIFT: self._shift,
            DeploymentState.WATCH: self._watch,
            DeploymentState.ROLLING_BACK: self._roll_back,
        }
        return work[row.state](row)

    def _prepare(self, row: Deployment) -> AnalysisResult:
        self.on_progress(f"starting {row.release} as {row.colour}")
        self.target.start(row.colour, release_of(row))
        return AnalysisResult.good(f"{row.release} as {row.colour}")

    def _wait_healthy(self, row: Deployment) -> AnalysisResult | None:
        began = time.monotonic()
        failing_since: float | None = None
        while True:
            health, now = self.target.health(row.colour), time.monotonic()
            if health.good:
                return AnalysisResult.good(
                    f"{health.ready} of {health.servers} servers are ready", servers=health.servers
                )
            if health.failed:
                failing_since = failing_since if failing_since is not None else now
                if now - failing_since >= self.settings.deploy_failing_seconds:
                    return AnalysisResult.bad(
                        Reason.CANDIDATE_UNHEALTHY, f"its servers end at every start: {health.detail}"
                    )
            if now - began > self.settings.deploy_ready_seconds:
                return AnalysisResult.bad(
                    Reason.CANDIDATE_UNHEALTHY, health.detail or "its servers did not become ready"
                )
            if self._rollback_requested(row):
                return None
            self.on_progress(f"waiting for {row.colour}: {health.ready} of {health.servers} ready")
            time.sleep(_POLL_SECONDS)

    def _smoke(self, row: Deployment) -> AnalysisResult | None:
        candidate, serving = self.target.servers(row.colour), self.target.servers(row.from_colour)
        for name, check in self.analyser.smoke(candidate, serving):
            if self._rollback_requested(row):
                return None
            self.on_progress(name)
            began = time.monotonic()
            result = checked(check)
            self._add_step(row, name, result, time.monotonic() - began)
            if not result.passed:
                return result
        return AnalysisResult.good("every check passed")

    def _shift(self, row: Deployment) -> AnalysisResult:
        health = self._settled_health(row)
        if not health.good:
            return AnalysisResult.bad(Reason.CANDIDATE_UNHEALTHY, health.detail)
        self.on_progress(f"{row.weight} % to {row.colour}")
        self.target.shift(_green_share(row, row.weight))
        if row.weight == _SWITCHED and row.generation:
            return self._promote(row)
        return AnalysisResult.good(f"{row.weight} % of the requests go to {row.colour}")

    def _promote(self, row: Deployment) -> AnalysisResult:
        before = self.generations.active()
        if before != row.generation:
            with self.connection.begin():
                deployments.change(self.connection, row.id, generation_before=before)
        try:
            self.generations.promote(row.generation, row.actor)
        except Conflict as error:
            return AnalysisResult.bad(error.reason, error.message)
        return AnalysisResult.good(f"all requests go to {row.colour}, readers are on {row.generation}")

    def _watch(self, row: Deployment) -> AnalysisResult | None:
        observed = self.analyser.watch(lambda: self.target.servers(row.colour))
        # The servers are read first here and the gateways first from here on, so that the gateways are watched for less
        # time than the servers: a call that ends between two readings is never one that no server counted.
        observed(False)
        before = self.target.traffic(row.colour)
        deadline = time.monotonic() + self.settings.deploy_watch_seconds
        while True:
            final = time.monotonic() >= deadline
            counted = self.target.traffic(row.colour)
            before = {**counted, **before}  # a gateway that is late or new has counted other releases before
            result = observed(final)
            if result is None or result.passed:
                result = analyse_traffic(self.settings, before, counted, result)
            if result is not None and result.passed and not (health := self._settled_health(row)).good:
                return AnalysisResult.bad(Reason.CANDIDATE_UNHEALTHY, health.detail)
            if result is not None:
                return result
            if self._rollback_requested(row):
                return None
            self.on_progress(f"watching {row.colour} with {row.weight} %")
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def _settled_health(self, row: Deployment) -> Health:
        """Its health, after a while in which it may recover: one probe that a busy machine misses is no verdict."""
        deadline = time.monotonic() + self.settings.deploy_failing_seconds
        while not (health := self.target.health(row.colour)).good and time.monotonic() < deadline:
            if self._rollback_requested(row):
                break
            self.on_progress(f"{row.colour}: {health.detail}")
            time.sleep(_POLL_SECONDS)
        return health

    def _roll_back(self, row: Deployment) -> AnalysisResult:
        self.on_progress(f"back to {row.from_colour}")
        self.target.shift(_green_share(row, 0))
        if row.generation_before:
            try:
                self.generations.restore(row.generation, row.generation_before, row.actor)
            except (Conflict, NotFound) as error:
                # Its grace period is over: the release is back all the same, and the history says what is not.
                return AnalysisResult.bad(error.reason, f"the generation stays: {error.message}")
        return AnalysisResult.good(f"all requests go to {row.from_colour}")

    def _finish(self, row: Deployment, result: AnalysisResult, seconds: float) -> Deployment:
        changes = policy.advance(row, result, self.settings.deploy_grace_seconds)
        if changes["state"] is DeploymentState.REFUSED:
            self.target.stop(row.colour)
        return self._record(row, changes, Step(row.state, seconds=seconds, weight=row.weight, **_step_fields(result)))

    def _record(self, row: Deployment, changes: policy.Changes, step: Step | None = None) -> Deployment:
        with self.connection.begin():
            if step is not None:
                deployments.add_step(self.connection, row.id, step)
            after = deployments.change(self.connection, row.id, **changes)
            if after.state.final and after.state is not row.state:
                self._audit(after)
        return after

    def _audit(self, row: Deployment) -> None:
        details = {"release": row.release, "colour": row.colour, "reason": row.reason, "detail": row.detail}
        action = f"deploy.{row.state}"
        audit.record(self.connection, actor=row.actor, action=action, target=str(row.id), details=details)

    def _add_step(self, row: Deployment, name: str, result: AnalysisResult, seconds: float) -> None:
        with self.connection.begin():
            deployments.add_step(
                self.connection, row.id, Step(name, seconds=seconds, weight=row.weight, **_step_fields(result))
            )

    def _read(self, row: Deployment) -> Deployment:
        with self.connection.begin():
            return deployments.get(self.connection, row.id)

    def _rollback_requested(self, row: Deployment) -> bool:
        return self._read(row).wanted == ROLLBACK

    def _smoke_is_old(self, row: Deployment) -> bool:
        with self.connection.begin():
            done = [
                step.at for step in deployments.history(self.connection, row.id) if step.step == DeploymentState.SMOKE
            ]
        oldest = datetime.now(UTC) - timedelta(seconds=self.settings.deploy_smoke_valid_seconds)
        return not done or done[-1] is None or done[-1] < oldest


def checked(check: Callable[[], AnalysisResult]) -> AnalysisResult:
    """The result of a check. A check that cannot run because a credential is missing has not passed."""
    try:
        return check()
    except ConfigError as error:
        return AnalysisResult.bad(error.reason, error.message)


def release_of(row: Deployment) -> Release:
    """The release that a deployment starts."""
    return Release(row.release, **{name: value for name, value in row.spec.items() if name != deployments.DECLARED})


def _green_share(row: Deployment, weight: int) -> int:
    return weight if row.colour == "green" else _SWITCHED - weight


def _step_fields(result: AnalysisResult) -> dict[str, Any]:
    fields = {name: getattr(result, name) for name in ("passed", "reason", "detail", "figures")}
    return fields | {"detail": str(fields["detail"])[:2000]}
