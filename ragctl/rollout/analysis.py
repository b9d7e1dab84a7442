"""Analysis of a release, and moving an index generation with it: narrow interfaces and their implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Protocol

from rag_core.database import Store
from rag_core.errors import Conflict, Reason
from rag_core.ingestion import promotion
from rag_core.ingestion.generations import store as generations
from rag_core.retrieval import engines
from rag_core.settings import Settings
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.targets.base import Server

Poll = Callable[[bool], AnalysisResult | None]
"""Called repeatedly; the last call, with True, must return a result."""


class ReleaseAnalyser(Protocol):
    """Analyses a release."""

    def smoke(
        self, candidate: Sequence[Server], serving: Sequence[Server]
    ) -> Iterable[tuple[str, Callable[[], AnalysisResult]]]:
        """The checks of the smoke suite by name."""

    def watch(self, servers: Callable[[], Sequence[Server]]) -> Poll:
        """Begin to watch the servers of a colour."""


class Generations(Protocol):
    """Promotes and rolls back index generations."""

    def active(self) -> str:
        """The active generation; empty: none."""

    def promote(self, name: str, actor: str) -> None:
        """Promote a generation. Raises `Conflict` when the gate, or a server, does not allow it."""

    def restore(self, name: str, before: str, actor: str) -> None:
        """Roll back from `name` to `before`, unless another generation is active by now."""


class DefaultReleaseAnalyser:
    """The smoke suite over gRPC, and the metrics of the servers."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def smoke(
        self, candidate: Sequence[Server], serving: Sequence[Server]
    ) -> Iterable[tuple[str, Callable[[], AnalysisResult]]]:
        from ragctl.rollout.smoke import Smoke

        return Smoke(self._settings, self._store).checks(candidate, serving)

    def watch(self, servers: Callable[[], Sequence[Server]]) -> Poll:
        from ragctl.rollout.metrics import MetricsPoller

        return MetricsPoller(self._settings, servers).poll


class DefaultGenerations:
    """`rag_core.ingestion.generations`, with the index opened when it is needed."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def active(self) -> str:
        with self._store.engine.connect() as connection:
            row = generations.active(connection)
        return row.name if row is not None else ""

    def promote(self, name: str, actor: str) -> None:
        with closing(engines.open_index(self._settings)) as index:
            promotion.promotion.promote(self._store, index, name, self._settings, actor=actor)

    def restore(self, name: str, before: str, actor: str) -> None:
        if self.active() not in {name, before}:
            return
        with closing(engines.open_index(self._settings)) as index:
            if self.active() == before:
                promotion.promotion.promote(
                    self._store, index, before, self._settings, actor=actor
                )  # repairs the alias
            else:
                promotion.promotion.rollback(
                    self._store, index, self._settings, actor=actor, reason="with its deployment"
                )

    def require(self, name: str) -> None:
        """Raises `NotFound`, or `Conflict` (`GENERATION_REFUSED`, `GENERATION_STATE`), unless it could be promoted."""
        with self._store.engine.connect() as connection:
            row = generations.get(connection, name)
        if not row.complete:
            raise Conflict(
                Reason.GENERATION_STATE, f"generation {name} is {row.state}; only a ready one can be promoted"
            )
        refused = promotion.promotion.refusal(row) if row.state == "ready" else ""
        if refused:
            raise Conflict(Reason.GENERATION_REFUSED, f"generation {name}: {refused}")
