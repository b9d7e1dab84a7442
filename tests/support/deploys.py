"""An in-memory deployment target, and scripted analyses of releases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rag_core.database import Store
from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.rollout.analysis import Poll
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.service import Deployments
from ragctl.rollout.targets.base import ColourTraffic, Health, Server


@dataclass
class MemoryTarget:
    """One healthy server per colour that runs something; `broken` releases never become ready, `dying` ones end."""

    name: str = "local"
    running: dict[str, Release] = field(default_factory=lambda: {"blue": Release(FIRST_RELEASE)})
    green: int = 0
    broken: set[str] = field(default_factory=set)
    dying: set[str] = field(default_factory=set)
    weights: list[int] = field(default_factory=list)
    chart: Release | None = None
    """What the place is configured with."""
    counted: list[ColourTraffic | None] = field(default_factory=list)
    """What its gateway will have counted, reading by reading; the last one stays. None: it does not answer."""

    def release(self, colour: str) -> Release | None:
        return self.running.get(colour)

    def start(self, colour: str, release: Release) -> None:
        self.running[colour] = release

    def stop(self, colour: str) -> None:
        self.running.pop(colour, None)

    def health(self, colour: str) -> Health:
        release = self.running.get(colour)
        if release is None:
            return Health(0, 0, "nothing runs there")
        if release.name in self.dying:
            return Health(1, 0, "exit status 1", failed=True)
        return Health(1, 0, "it is not ready") if release.name in self.broken else Health(1, 1)

    def servers(self, colour: str) -> Sequence[Server]:
        return [Server(f"{colour}:1", f"http://{colour}:2")] if colour in self.running else []

    def green_percent(self) -> int:
        return self.green

    def shift(self, green_percent: int) -> None:
        self.green = green_percent
        self.weights.append(green_percent)

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        counted = self.counted.pop(0) if len(self.counted) > 1 else (*self.counted, ColourTraffic())[0]
        return {} if counted is None else {"gateway": counted}

    def runs(self, colour: str, release: Release) -> bool:
        return self.running.get(colour) == release

    def wanted(self) -> Release | None:
        return self.chart

    def maintain(self) -> None:
        return


@dataclass
class ScriptedAnalyser:
    """A scripted analysis: one result for the smoke suite, and one for each traffic share that fails."""

    smoke_test: AnalysisResult = field(default_factory=AnalysisResult.good)
    bad_at: dict[int, AnalysisResult] = field(default_factory=dict)
    during_watch: Callable[[], None] = lambda: None
    weight: Callable[[], int] = lambda: 0
    check: Callable[[], AnalysisResult] | None = None
    """Instead of `smoke_test`."""
    calls: int | None = None
    """How many calls the servers counted while they were watched."""

    def smoke(
        self, candidate: Sequence[Server], serving: Sequence[Server]
    ) -> Iterable[tuple[str, Callable[[], AnalysisResult]]]:
        return [("smoke.golden", self.check or (lambda: self.smoke_test))]

    def watch(self, servers: Callable[[], Sequence[Server]]) -> Poll:
        result = self.bad_at.get(self.weight(), AnalysisResult.good(calls=self.calls))

        def observe(final: bool) -> AnalysisResult | None:
            self.during_watch()
            return result if final or not result.passed else None

        return observe


@dataclass
class MemoryGenerations:
    """Readers are on `now`; those in `refused` cannot be promoted."""

    now: str = "g1"
    refused: set[str] = field(default_factory=set)

    def active(self) -> str:
        return self.now

    def promote(self, name: str, actor: str) -> None:
        if name in self.refused:
            raise Conflict(Reason.GENERATION_REFUSED, f"generation {name}: recall lost 12 points")
        self.now = name

    def restore(self, name: str, before: str, actor: str) -> None:
        if before in self.refused:
            raise Conflict(Reason.GENERATION_STATE, f"generation {before} is retired")
        self.now = before


@dataclass
class DeployHarness:
    """Deployments to a target in memory, on a real database."""

    store: Store
    settings: Settings
    target: MemoryTarget = field(default_factory=MemoryTarget)
    analyser: ScriptedAnalyser = field(default_factory=ScriptedAnalyser)
    generations: MemoryGenerations = field(default_factory=MemoryGenerations)

    def deployments(self) -> Deployments:
        self.analyser.weight = self.target.green_percent
        return Deployments(self.store, self.target, self.settings, self.analyser, self.generations)
