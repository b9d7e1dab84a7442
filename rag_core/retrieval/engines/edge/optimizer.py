"""The background optimizer: builds search graphs of the embedded index while it serves requests.

Without a graph each dense search compares every vector, which is fast only up to some thousands of points.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rag_core.errors import RagError
from rag_core.logging import get_logger
from rag_core.retrieval.engines.edge.index import EdgeIndex
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings

INTERVAL_SECONDS = 15.0
_SHARE = 5
"""A graph is rebuilt when more than one in this many points was written since the last build."""
_QUIET = 10
"""Writes of up to one in this many of the points that make a build worthwhile do not put it off, in one interval."""
_log = get_logger("rag.index")


class BackgroundOptimizer:
    """Polls the generations at an interval, and optimizes those in which much was written, one at a time."""

    def __init__(self, index: EdgeIndex, *, least: int) -> None:
        """`least` is the number of written points from which a build is worthwhile."""
        self._index = index
        self._least = least
        self._stopping = threading.Event()
        self._seen: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="index-upkeep", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def run_once(self) -> list[str]:
        """Poll once; returns the generations that were optimized: those with much new, or an old graph."""
        return [name for name in self._grown() if self._optimize(name)]

    def close(self) -> None:
        """Stop polling. A running optimization ends with the process."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            try:
                self.run_once()
            except Exception:  # the thread has no supervisor: an escaped error would end all optimization
                _log.exception("background_optimizer_failed")

    def _grown(self) -> list[str]:
        grown = []
        for spec in self._index.generations():
            try:
                points, written = self._index.count(spec.name), self._index.written_since_graph(spec.name)
            except RagError:
                continue  # damaged, or dropped meanwhile
            before, self._seen[spec.name] = self._seen.get(spec.name), written
            quiet = before is not None and written - before <= self._least // _QUIET
            old = written < points and self._index.has_old_graph(spec.name)
            # Wait during heavy writes, unless most of the points have no graph.
            if (old or written >= max(self._least, points // _SHARE)) and (quiet or 2 * written > points):
                grown.append(spec.name)
        return grown

    def _optimize(self, name: str) -> bool:
        try:
            self._index.optimize(name)
        except RagError as error:
            if not self._stopping.is_set():
                _log.warning("index_not_optimized", generation=name, reason=error.reason, message=error.message)
            return False
        _log.info("index_optimized", generation=name, written=self._seen[name])
        return True


@contextmanager
def background_optimizer(index: VectorIndex, settings: Settings) -> Iterator[None]:
    """Run the optimizer during the `with` block if this process owns the index; a no-op for other engines."""
    if not isinstance(index, EdgeIndex) or settings.index_optimize_points == 0:
        yield
        return
    upkeep = BackgroundOptimizer(index, least=settings.index_optimize_points)
    upkeep.start()
    try:
        yield
    finally:
        upkeep.close()
