"""The deployment service of `rag deploy` and of the controller: begin, switch, roll back, maintain. One at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from rag_core.database import Store, locks
from rag_core.errors import Conflict, Reason
from rag_core.governance.audit import ROLLBACK, SWITCH, Colour, Deployment, DeploymentState, Step
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from ragctl.gateway.colours import Release
from ragctl.rollout import policy
from ragctl.rollout.analysis import DefaultGenerations, DefaultReleaseAnalyser, Generations, ReleaseAnalyser
from ragctl.rollout.deployer import Deployer, OnProgress, checked
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.targets.base import COLOURS, Server, Target, other, serving_colour

_POLL_SECONDS = 0.1
_ROLLBACK_SECONDS = 60.0
_NOW = 0.001
_NEXT = 5.0
"""Seconds a command waits for the lock of the controller, which holds it briefly at each poll."""
_ALL = 100


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A request to deploy. `generation` is promoted with it; empty: none."""

    release: Release
    actor: str
    why: str = ""
    generation: str = ""
    declared: bool = False
    """By the configuration of the target, not by a command."""

    @property
    def origin(self) -> dict[str, str]:
        """Columns of the deployment's row for it."""
        return {deployments.DECLARED: self.release.key} if self.declared else {}


def smoke(
    analyser: ReleaseAnalyser, candidate: Sequence[Server], serving: Sequence[Server] = ()
) -> Iterator[tuple[str, AnalysisResult]]:
    """The smoke suite on some servers, check by check, up to the first that fails."""
    for name, check in analyser.smoke(candidate, serving):
        result = checked(check)
        yield name, result
        if not result.passed:
            return


@dataclass(frozen=True, slots=True)
class Deployments:
    """The deployments of one target."""

    store: Store
    target: Target
    settings: Settings
    analyser: ReleaseAnalyser
    generations: Generations
    on_progress: OnProgress = lambda text: None

    @classmethod
    def real(
        cls, store: Store, target: Target, settings: Settings, on_progress: OnProgress = lambda text: None
    ) -> Deployments:
        """With the smoke suite, the metrics and the index of these settings."""
        return cls(
            store,
            target,
            settings,
            DefaultReleaseAnalyser(settings, store),
            DefaultGenerations(settings, store),
            on_progress,
        )

    def up(self, wanted: DeployRequest) -> Deployment:
        """Run a release on the idle colour until it is ready, or refused.

        A repetition checks again. A ready release that is not the wanted one is replaced. Raises `Conflict`
        (`DEPLOYMENT_BUSY`) while traffic is being moved, (`DEPLOYMENT_STATE`) when weights were set by hand.
        """
        with self.deployer(_NEXT) as deployer:
            return deployer.run(self.begin(deployer.connection, wanted))

    def switch(self, actor: str, why: str = "") -> Deployment:
        """Shift the traffic to the ready deployment in steps, or resume an interrupted switch.

        Raises `Conflict` (`DEPLOYMENT_STATE`) when none is ready, (`DEPLOYMENT_BUSY`) while another process does it.
        """
        with self.deployer(_NEXT) as deployer:
            row = self._unfinished()
            if row is None:
                raise Conflict(Reason.DEPLOYMENT_STATE, "nothing is ready for a switch; `rag deploy up` first")
            if policy.waits(row):
                row = self._ask(row, SWITCH, actor, why)
            return deployer.run(row)

    def roll_back(self, actor: str, why: str = "") -> Deployment:
        """Return the traffic at any point: another process that works on the deployment is notified and awaited.

        Raises `Conflict` (`DEPLOYMENT_STATE`) when there is nothing to go back from or to.
        """
        row = self._unfinished() or self.newest()
        if row is None:
            raise Conflict(Reason.DEPLOYMENT_STATE, "there is no deployment to roll back")
        if row.wanted != ROLLBACK and row.state is not DeploymentState.ROLLING_BACK:
            row = self._ask(row, ROLLBACK, actor, why)
        deadline = time.monotonic() + _ROLLBACK_SECONDS
        while not policy.waits(row):
            try:
                with self.deployer() as deployer:
                    return deployer.run(self._get(row.id))
            except Conflict as error:
                if error.reason is not Reason.DEPLOYMENT_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_SECONDS)
            row = self._get(row.id)
        return row

    def resume(self) -> Deployment | None:
        """Resume requested or interrupted work; None when there is none, or another process does it."""
        with self.store.engine.connect() as connection:
            row = deployments.unfinished(connection, self.target.name)
            row = row or deployments.newest(connection, self.target.name)
        if row is None or policy.waits(row):
            return None
        try:
            with self.deployer() as deployer:
                return deployer.run(self._get(row.id))
        except Conflict as error:
            if error.reason is Reason.DEPLOYMENT_BUSY:
                return None
            raise

    def maintain(self) -> None:
        """Retire a colour whose grace period is over, and store the observed state of both."""
        self.target.maintain()
        row = self.newest()
        if row is not None and row.state.final and row.keep_until is not None and row.keep_until <= datetime.now(UTC):
            self._retire(row.id)
            row = self._get(row.id)
        seen = [self._observed(colour, row) for colour in COLOURS]
        with self.store.engine.begin() as connection:
            deployments.save_colours(connection, self.target.name, seen)

    def check(self) -> Iterator[tuple[str, AnalysisResult]]:
        """The smoke suite on what serves, check by check, up to the first that fails."""
        return smoke(self.analyser, self.serving())

    def serving(self) -> Sequence[Server]:
        """The servers that users are sent to."""
        return self.target.servers(serving_colour(self.target))

    def newest(self) -> Deployment | None:
        with self.store.engine.connect() as connection:
            return deployments.newest(connection, self.target.name)

    def begin(self, connection: Connection, request: DeployRequest, **more: Any) -> Deployment:
        """Record a deployment; `more` are columns of its row. Raises as `up` does."""
        row = self._unfinished()
        if row is not None and row.state not in policy.BEFORE_TRAFFIC:
            raise Conflict(
                Reason.DEPLOYMENT_BUSY,
                f"deployment {row.id} is under way ({row.state}): `rag deploy switch` continues it, "
                "`rag deploy rollback` ends it",
            )
        green = self.target.green_percent()
        if green not in {0, _ALL}:
            message = f"green has {green} % of the requests by hand; `rag gateway shift` 0 or 100 first"
            raise Conflict(Reason.DEPLOYMENT_STATE, message)
        serving = serving_colour(self.target)
        with connection.begin():
            if row is not None:
                deployments.change(connection, row.id, state=DeploymentState.REPLACED, wanted="")
            added = deployments.add(
                connection,
                target=self.target.name,
                release=request.release.name,
                spec=request.release.spec | request.origin,
                colour=other(serving),
                from_colour=serving,
                state=DeploymentState.PREPARE,
                steps=self.settings.deploy_weights,
                generation=request.generation,
                actor=request.actor,
                why=request.why,
                **more,
            )
            details = {"release": added.release, "colour": added.colour, "reason": request.why}
            audit.record(connection, actor=request.actor, action="deploy.up", target=str(added.id), details=details)
        return added

    def _retire(self, number: int) -> None:
        try:
            with self.deployer() as deployer:
                idle = other(serving_colour(self.target))
                began = time.monotonic()
                self.target.stop(idle)
                with deployer.connection.begin():
                    step = Step("retire", True, 0, time.monotonic() - began, detail=f"{idle} was stopped")
                    deployments.add_step(deployer.connection, number, step)
                    deployments.change(deployer.connection, number, keep_until=None)
        except Conflict as error:
            if error.reason is not Reason.DEPLOYMENT_BUSY:
                raise

    def _observed(self, colour: str, row: Deployment | None) -> Colour:
        release, green = self.target.release(colour), self.target.green_percent()
        weight = green if colour == "green" else _ALL - green
        if release is None:
            return Colour(self.target.name, colour, "", weight, 0, 0)
        health = self.target.health(colour)
        keep = row.keep_until if row is not None and row.state.final and weight == 0 else None
        return Colour(self.target.name, colour, release.name, weight, health.servers, health.ready, health.detail, keep)

    def _unfinished(self) -> Deployment | None:
        with self.store.engine.connect() as connection:
            return deployments.unfinished(connection, self.target.name)

    def _get(self, number: int) -> Deployment:
        with self.store.engine.connect() as connection:
            return deployments.get(connection, number)

    def _ask(self, row: Deployment, what: str, actor: str, why: str) -> Deployment:
        with self.store.engine.begin() as connection:
            return deployments.request_change(connection, row.id, what, actor=actor, why=why, tenant=None)

    @contextmanager
    def deployer(self, wait: float = _NOW) -> Iterator[Deployer]:
        """Hold the target's lock. Raises `Conflict` (`DEPLOYMENT_BUSY`) after `wait` seconds."""
        with locks.deployer_connection(self.store, self.target.name, wait=wait) as connection:
            yield Deployer(connection, self.target, self.analyser, self.generations, self.settings, self.on_progress)
