"""Background optimizer: builds search graphs of the embedded index beside the requests.

Without a graph each dense search compares every vector: fine for some thousands of points, and slower with each more.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rag_core.errors import RagError
from rag_core.index import VectorIndex
from rag_core.index.edge.index import EdgeIndex
from rag_core.logging import get_logger
from rag_core.settings import Settings

INTERVAL_SECONDS = 15.0
_SHARE = 5
"""A graph is built again when this part (one over it) of the points came after the last time."""
_log = get_logger("rag.index")


class BackgroundOptimizer:
    """Polls the generations at an interval and optimizes those that have grown, one at a time."""

    def __init__(self, index: EdgeIndex, *, least: int) -> None:
        """`least` is the number of points without a graph from which building one is worth it."""
        self._index = index
        self._least = least
        self._stopping = threading.Event()
        self._seen: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="index-upkeep", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def run_once(self) -> list[str]:
        """Look once; returns the generations that were optimized."""
        return [name for name in self._grown() if self._optimize(name)]

    def close(self) -> None:
        """Stop looking. An optimization under way is given up with the process."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(INTERVAL_SECONDS):
            try:
                self.run_once()
            except Exception:  # the thread has no supervisor: without this no graph would ever be built again
                _log.exception("background_optimizer_failed")

    def _grown(self) -> list[str]:
        grown = []
        for spec in self._index.generations():
            try:
                points, bare = self._index.count(spec.name), self._index.points_without_graph(spec.name)
            except RagError:
                continue  # damaged, or dropped just now
            quiet, self._seen[spec.name] = self._seen.get(spec.name) == points, points
            new = bare - self._left.get(spec.name, 0)
            # While much is written it is not worth it yet, unless most of the points are without a graph.
            if new >= max(self._least, points // _SHARE) and (quiet or 2 * bare > points):
                grown.append(spec.name)
        return grown

    def _optimize(self, name: str) -> bool:
        try:
            self._index.optimize(name)
            # The engine leaves small segments without a graph on purpose; those are not news the next time.
            self._left[name] = self._index.points_without_graph(name)
        except RagError as error:
            if not self._stopping.is_set():
                _log.warning("index_not_optimized", generation=name, reason=error.reason, message=error.message)
            return False
        _log.info("index_optimized", generation=name, points=self._seen[name], left=self._left[name])
        return True


@contextmanager
def background_optimizer(index: VectorIndex, settings: Settings) -> Iterator[None]:
    """Optimize an index that this process owns in the background of the `with` block; any other needs nothing."""
    if not isinstance(index, EdgeIndex) or settings.index_optimize_points == 0:
        yield
        return
    upkeep = BackgroundOptimizer(index, least=settings.index_optimize_points)
    upkeep.start()
    try:
        yield
    finally:
        upkeep.close()
