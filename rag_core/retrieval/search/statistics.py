"""Term statistics that are kept: how often each term occurs among the points that a caller may see.

They depend on the caller and not on the question, so they are counted once, in the background, and used until one of
the points that were counted is written or removed. Never longer: for a caller whose statistics are not known, or no
longer true, the engine gathers them for the one search, so that no score tells of what is gone or hidden.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rag_core.errors import RagError
from rag_core.retrieval.index import IDF_SAMPLES, SAMPLE_SHARES, FilterBuilder, Visibility, idf_sample
from rag_core.retrieval.search.lexical import Sparse

Filter = TypeVar("Filter")
CALLERS = 256
"""Callers of whom statistics are kept: those of 4,096 chunks have about 15,000 terms, 120 kB."""
SHARE_OF_TIME = 0.1
"""Share of a core for counting: callers who each ask once in a while must not slow the others down."""
ALL = "1"
"""The name of the sample that every point is part of."""


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """The number of points that were counted, and how many of them have each term (ascending)."""

    points: int
    terms: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, pages: Iterable[Sequence[Sequence[int]]]) -> TermStatistics:
        """Count points given as their distinct terms, in pages."""
        points, found = 0, [np.empty(0, dtype=np.uint32)]
        for page in pages:
            points += len(page)
            found += [np.asarray(terms, dtype=np.uint32) for terms in page]
        terms, counts = np.unique(np.concatenate(found), return_counts=True)
        return cls(points, terms, counts.astype(np.uint32))

    def weighted(self, query: Sparse) -> Sparse:
        """The query with each term multiplied by its inverse document frequency, as the engines compute it."""
        wanted = np.asarray(query.indices, dtype=np.uint32)
        places = np.minimum(np.searchsorted(self.terms, wanted), max(0, len(self.terms) - 1))
        having = np.where(self.terms[places] == wanted, self.counts[places], 0) if len(self.terms) else 0 * wanted
        frequencies = having.tolist()
        values = [
            value * math.log1p((self.points - frequency + 0.5) / (frequency + 0.5))
            for value, frequency in zip(query.values, frequencies, strict=True)
        ]
        return Sparse(query.indices, values)


Count = Callable[[Visibility], tuple[str, TermStatistics]]
"""Counts the points that a caller may see, or a sample of them, and names the sample."""


class StatisticsCache:
    """The statistics of one generation's callers. Thread-safe.

    Exact for the points counted: a writer calls `changed` before and after, which removes those that counted one of
    the written points. They are counted again in the background once their caller asks twice.
    """

    def __init__(self, count: Count, *, share_of_time: float = SHARE_OF_TIME) -> None:
        self._count = count
        self._share_of_time = share_of_time
        self._lock = threading.Lock()
        self._known: OrderedDict[Visibility, tuple[str, TermStatistics]] = OrderedDict()
        self._asked: OrderedDict[Visibility, None] = OrderedDict()
        self._wanted: OrderedDict[Visibility, None] = OrderedDict()
        self._counted: Visibility | None = None
        """The caller whose statistics are counted now."""
        self._changed: set[str] = set()
        """Samples of which a point of that caller's tenant was written since the count began."""
        self._worker: threading.Thread | None = None
        self._rest = threading.Event()
        self._closed = False

    def get(self, seen: Visibility) -> TermStatistics | None:
        """The statistics of a caller, `None` while they are not known."""
        if not seen.may_be_remembered:
            return None
        with self._lock:
            known = self._known.get(seen)
            if known is None:
                self._miss(seen)
                return None
            self._known.move_to_end(seen)
            return known[1]

    def changed(self, tenant: str, chunk_ids: Iterable[uuid.UUID]) -> None:
        """Forget what counted one of these points of a tenant."""
        samples = {ALL}
        for chunk_id in chunk_ids:
            samples.update(idf_sample(chunk_id))
        with self._lock:
            if self._counted is not None and self._counted.tenant == tenant:
                self._changed |= samples
            for seen, (sample, _) in list(self._known.items()):
                if seen.tenant == tenant and sample in samples:
                    del self._known[seen]

    def close(self) -> None:
        """Count no more."""
        with self._lock:
            self._closed = True
            self._wanted.clear()
            worker = self._worker
        self._rest.set()
        if worker is not None:
            worker.join()

    def settle(self) -> None:
        """Return once everything that callers asked for twice is counted. For tests and benchmarks."""
        while True:
            with self._lock:
                worker = self._worker
            if worker is None:
                return
            worker.join()

    def _miss(self, seen: Visibility) -> None:
        if self._closed or seen in self._wanted or seen == self._counted:
            return
        if seen not in self._asked:
            self._asked[seen] = None
            if len(self._asked) > 4 * CALLERS:
                self._asked.popitem(last=False)
            return
        if len(self._wanted) < CALLERS:
            self._wanted[seen] = None
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="term-statistics", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (seen := self._next()) is not None:
            began = time.monotonic()
            try:
                sample, statistics = self._count(seen)
            except RagError:  # damaged or closed: searches report it
                continue
            with self._lock:
                self._counted = None
                if sample not in self._changed:
                    self._known[seen] = sample, statistics
                if len(self._known) > CALLERS:
                    self._known.popitem(last=False)
            self._rest.wait((time.monotonic() - began) * (1 / self._share_of_time - 1))

    def _next(self) -> Visibility | None:
        with self._lock:
            self._counted = self._wanted.popitem(last=False)[0] if self._wanted else None
            self._changed = set()
            if self._counted is None:
                self._worker = None
            return self._counted


# --------------------------------------------------------------------------------------------------------------------
# The sample of points for a search's term statistics.


ENOUGH = 4_096
"""Approximate maximum of points in the statistics, for a caller who sees up to a thousand times as many."""
_COUNTED = (1024, 32)
"""Samples to count for an estimate of the points the caller sees; the second when the first has too few."""
_TELLING = 64
"""Number of counted points from which the estimate is accurate to an eighth."""


class Counting(Protocol[Filter]):
    """The interface that choosing a sample needs of an engine."""

    @property
    def filter_builder(self) -> FilterBuilder[Filter]: ...

    @property
    def has_idf_samples(self) -> bool: ...

    def count(self, within: Filter) -> int: ...


def idf_corpus(engine: Counting[Filter], visible: Filter, enough: int = ENOUGH) -> Filter:
    """The points for term statistics, among those the caller may see: at most about `enough`, and at least half of that
    when there are more."""
    return idf_sample_of(engine, visible, enough)[1]


def idf_sample_of(engine: Counting[Filter], visible: Filter, enough: int = ENOUGH) -> tuple[str, Filter]:
    """The name of the sample that `idf_corpus` takes, and its points."""
    if not engine.has_idf_samples:
        return ALL, visible
    seen = _seen(engine, visible)
    share = next((share for share in (1, *SAMPLE_SHARES) if seen <= enough * share), SAMPLE_SHARES[-1])
    return str(share), sample_of(engine.filter_builder, visible, str(share))


def sample_of(builder: FilterBuilder[Filter], visible: Filter, name: str) -> Filter:
    """The points of a sample among those that are visible."""
    return visible if name == ALL else builder.all_of([visible, builder.any_of(IDF_SAMPLES, [name])])


def _seen(engine: Counting[Filter], visible: Filter) -> int:
    """Estimate the number of points the caller sees."""
    seen = 0
    for share in _COUNTED:
        found = engine.count(sample_of(engine.filter_builder, visible, str(share)))
        seen = found * share
        if found >= _TELLING:
            break
    return seen
