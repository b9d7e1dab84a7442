"""Actions of operators on index generations. Building and evaluation are left to the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from query_server.handlers.admin.rules import check_text_field
from query_server.runtime.dependencies import Dependencies
from rag_core.content import chunking
from rag_core.governance.access import Principal
from rag_core.ingestion import generations, promotion
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.database import Store
    from rag_core.ingestion.generations import TransformRegistry
    from rag_core.ingestion.promotion import Forecast, PromotionResult

T = TypeVar("T")


class GenerationsHandler:
    """Build, evaluate, promote, roll back, retire, in the name of the caller.

    Every method raises what `rag_core.ingestion.generations` raises, `InvalidInput` for what is no text that can be
    stored, and `Unavailable` (`DATABASE_UNAVAILABLE`).
    """

    def __init__(self, settings: Settings, dependencies: Dependencies) -> None:
        self._settings = settings
        self._dependencies = dependencies
        # One thread: an operation whose caller left ends before the next one begins.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generations")
        self._running: set[Future[Any]] = set()

    async def build(
        self,
        principal: Principal,
        *,
        name: str,
        changes: Mapping[str, str],
        reason: str,
        confirmed: bool,
        dry_run: bool,
    ) -> tuple[str, Forecast]:
        """Forecast a build and declare it unless it is a dry run; the generation's name and the forecast."""
        _check(name=name, reason=reason)

        def run(store: Store) -> tuple[str, Forecast]:
            with closing(self._registry()) as registry:
                transforms = registry.for_settings(generations.changed(self._settings, changes))
                found = promotion.forecast(store, transforms, self._settings)
                if dry_run:
                    return "", found
                found.require_consent(self._settings, consent=confirmed)
                row = promotion.declare(
                    store, self._dependencies.index, transforms, name=name or None, actor=principal.actor, reason=reason
                )
                return row.name, found

        return await self._run(run)

    async def evaluate(self, principal: Principal, name: str) -> None:
        """Ask the pipeline to run the gate."""
        _check(generation=name)

        def run(store: Store) -> None:
            promotion.request_evaluation(store, name, actor=principal.actor)

        await self._run(run)

    async def promote(self, principal: Principal, name: str, reason: str, override: str) -> PromotionResult:
        """Move readers."""
        _check(generation=name, reason=reason, override_reason=override)

        def run(store: Store) -> PromotionResult:
            index, actor = self._dependencies.index, principal.actor
            return promotion.promote(store, index, name, self._settings, actor=actor, reason=reason, override=override)

        return await self._run(run)

    async def rollback(self, principal: Principal, reason: str) -> PromotionResult:
        """Move readers back."""
        _check(reason=reason)

        def run(store: Store) -> PromotionResult:
            return promotion.rollback(
                store, self._dependencies.index, self._settings, actor=principal.actor, reason=reason
            )

        return await self._run(run)

    async def retire(self, principal: Principal, name: str, reason: str, *, now: bool) -> None:
        """End a generation."""
        _check(generation=name, reason=reason)

        def run(store: Store) -> None:
            promotion.retire(store, self._dependencies.index, name, actor=principal.actor, reason=reason, now=now)

        await self._run(run)

    async def _run(self, work: Callable[[Store], T]) -> T:
        """Run `work` once those before it have ended. It is not cut off when its caller leaves after it began, because
        a move must not be left half done; one that has not begun is dropped."""
        future = self._thread.submit(lambda: work(self._dependencies.store.get()))
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def close(self, seconds: float) -> None:
        """Drop what has not begun and wait for the operation that has."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._running:
            await asyncio.to_thread(wait, tuple(self._running), seconds)

    @property
    def stuck(self) -> bool:
        """True while an operation still runs."""
        return bool(self._running)

    def _registry(self) -> TransformRegistry:
        own = generations.Transforms(
            lambda: self._dependencies.embedder,
            lambda: chunking.open_chunker(self._settings),
            generations.generation_config_of(self._settings),
        )
        return generations.TransformRegistry(self._settings, own)


def _check(**fields: str) -> None:
    for name, value in fields.items():
        check_text_field(name, value)
