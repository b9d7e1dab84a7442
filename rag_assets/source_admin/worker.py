"""Take operations on sources from their table and carry out each in a process of its own, bounded in time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

from rag_assets.source_admin.process import start_operation
from rag_core.content.sources import Action, operation_store
from rag_core.database import Store
from rag_core.errors import RagError, Reason
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
PLACES, PAGE_PLACES = 2, 2
IDLE_SECONDS = 1.0
_DELETE_FACTOR = 10
_PAGE_SECONDS = 60.0
_CLEAN_UP_SECONDS = 60.0
_UNEXPECTED = "operation {} ended unexpectedly; the log of the stream worker has the rest"


@dataclass(slots=True)
class _Running:
    number: int
    action: Action
    process: ForkServerProcess
    until: float


class SourceOperationWorker:
    """Runs in a thread of the stream worker. At most `PLACES` operations and `PAGE_PLACES` pictures of pages at once,
    one of each tenant."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._running: list[_Running] = []
        self._cleaned = float("-inf")

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping`; what is under way then is ended and fails."""
        try:
            while not stopping.is_set():
                try:
                    busy = self.step()
                except RagError as error:
                    log.warning("source_operations_postponed", reason=error.reason, problem=error.message)
                    busy = False
                stopping.wait(0.1 if busy else IDLE_SECONDS)
        finally:
            for one in self._running:
                one.process.kill()
                one.process.join()

    def step(self) -> bool:
        """Look after what runs, and start what is queued. Returns whether anything runs."""
        self._running = [one for one in self._running if not self._has_ended(one)]
        if time.monotonic() - self._cleaned > _CLEAN_UP_SECONDS:
            with self._store.engine.begin() as connection:
                operation_store.clean_up(connection, seconds=self._seconds(Action.DELETE) + _CLEAN_UP_SECONDS)
            self._cleaned = time.monotonic()
        with self._store.engine.connect() as connection:
            queued = operation_store.any_queued(connection)
        if queued:
            self._fill(PLACES, pages=False)
            self._fill(PAGE_PLACES, pages=True)
        return bool(self._running)

    def _fill(self, places: int, *, pages: bool) -> None:
        while sum((one.action is Action.PAGE) == pages for one in self._running) < places:
            with self._store.engine.begin() as connection:
                claimed = operation_store.claim(connection, pages=pages)
            if claimed is None:
                break
            self._start(*claimed)

    def _start(self, number: int, action: Action) -> None:
        try:
            process = start_operation(number)
        except (OSError, EOFError) as error:  # the server it is forked from has just died; the next start makes one
            log.warning("source_operation_not_started", operation=number, error=type(error).__name__)
            self._fail(number, Reason.INTERNAL, _UNEXPECTED.format(number))
            return
        self._running.append(_Running(number, action, process, time.monotonic() + self._seconds(action)))

    def _fail(self, number: int, reason: Reason, message: str) -> None:
        """Store a failure, unless the operation has stored its result."""
        with self._store.engine.begin() as connection:
            operation_store.finish(connection, number, reason=str(reason), message=message)

    def _seconds(self, action: Action) -> float:
        seconds = self._settings.source_operation_seconds
        if action is Action.PAGE:
            return min(seconds, _PAGE_SECONDS)
        return seconds * _DELETE_FACTOR if action is Action.DELETE else seconds

    def _has_ended(self, one: _Running) -> bool:
        late = time.monotonic() > one.until
        if one.process.is_alive() and not late:
            return False
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        reason, message = Reason.INTERNAL, _UNEXPECTED.format(one.number)
        if late:
            reason, message = Reason.SOURCE_OPERATION_TIMEOUT, "the source did not answer in time; check it, try again"
        self._fail(one.number, reason, message)
        return True
