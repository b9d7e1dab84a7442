"""Automatic repair: rebuild damaged generations of an embedded index from PostgreSQL, one at a time.

Damage is detected when the folder is opened, or by a call; the second is verified before anything is deleted.
Until a generation is complete nothing is served from it (`EdgeIndex.set_due`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from query_server.runtime.metrics import Metrics
from rag_core import database
from rag_core.errors import NotFound, RagError
from rag_core.ingestion import generations, verify
from rag_core.logging import get_logger
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_core.database import Store

INTERVAL_SECONDS: Final = 2.0
FIRST_PAUSE_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 3600.0
"""After each rebuild of a generation, good or not, the next waits for twice as long: a bad disk is not written for
ever."""
_RUN_WAIT_SECONDS = 30.0
_ACTOR = "index"
_log = get_logger("rag.index")


class Mender:
    """Checks for damage periodically. `open_store` is called when there is some, and its store is closed afterwards."""

    def __init__(
        self,
        index: EdgeIndex,
        open_store: Callable[[], Store],
        *,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self._index = index
        self._open_store = open_store
        self._clock = clock
        self._again: dict[str, tuple[float, float]] = {}
        self._nobody_reads = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index-mending", daemon=True)
        if metrics is not None:
            metrics.damaged.set_function(lambda: len(index.damaged()))

    def start(self) -> None:
        """Start the checks."""
        self._thread.start()

    def close(self) -> None:
        """Stop the checks. A rebuild in progress ends with the process; the next start resumes it."""
        self._stopping.set()

    def run_once(self) -> list[str]:
        """Check once; returns the rebuilt generations."""
        for name, sound in self._index.examine():
            if sound:
                _log.warning("index_damage_not_found", generation=name)
        return [name for name in self._broken() if self._due(name) and self._rebuild(name)]

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = INTERVAL_SECONDS
            try:
                self.run_once()
            except Exception:  # the thread has no supervisor: without this nothing would ever be repaired again
                _log.exception("index_mending_failed")

    def _broken(self) -> list[str]:
        """Damaged generations, and the active one when its folder or the alias is lost."""
        found = self._index.damaged()
        if self._index.alias() is not None or self._nobody_reads:
            return found
        with suppress(RagError), closing(self._open_store()) as store, store.engine.connect() as connection:
            active = generations.store.active(connection)
            # Read once: in a new installation the pipeline creates the first generation.
            self._nobody_reads = active is None
            return found if active is None or active.name in found else [*found, active.name]
        return found

    def _due(self, name: str) -> bool:
        at, _ = self._again.get(name, (0.0, 0.0))
        return self._clock() >= at

    def _rebuild(self, name: str) -> bool:
        _log.error("index_damaged", generation=name, message="it is filled again from PostgreSQL")
        try:
            with closing(self._open_store()) as store:
                documents = verify.rebuild(store, self._index, name, actor=_ACTOR, wait=_RUN_WAIT_SECONDS)
        except NotFound:  # without a row: no search reads it, and there is nothing to rebuild it from
            _log.warning("index_not_rebuilt", generation=name, message="PostgreSQL does not know it")
            return False
        except RagError as error:
            _log.error("index_not_rebuilt", generation=name, reason=error.reason, message=error.message)
            return False
        finally:
            _, pause = self._again.get(name, (0.0, FIRST_PAUSE_SECONDS))
            self._again[name] = (self._clock() + pause, min(2 * pause, LONGEST_PAUSE_SECONDS))
        _log.info("index_rebuilt", generation=name, documents=documents)
        return True


@contextmanager
def mended(index: VectorIndex, settings: Settings, metrics: Metrics) -> Iterator[None]:
    """Repair an index that this process owns while the `with` block runs; other indexes are left alone."""
    if not isinstance(index, EdgeIndex) or not settings.index_rebuild_damaged:
        yield
        return

    def opened() -> Store:
        return database.open_store(settings)

    mender = Mender(index, opened, metrics=metrics)
    mender.start()
    try:
        yield
    finally:
        mender.close()
