"""The judgements that need no database: latency, size, and the pace of a build."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.promotion.checks import MAX_GROWTH, CheckedGeneration, size
from rag_core.ingestion.promotion.retrieval import SLACK_SECONDS, SLOWER, Scoring, compare_latency
from rag_core.ingestion.promotion.throttle import Throttle
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

_USUAL = 0.02


class Index:
    """Searches and points of two generations, `new` and `old`."""

    def __init__(self, *, seconds: float = 0.0, points: int = 0) -> None:
        self._seconds = {"new": seconds, "old": _USUAL}
        self._points = {"new": points, "old": 1000}

    def search(self, request: SearchRequest) -> None:
        time.sleep(self._seconds[request.generation or ""])

    def count(self, generation: str) -> int:
        return self._points[generation]


def index(**facts: Any) -> VectorIndex:
    return cast("VectorIndex", Index(**facts))


def scoring(name: str) -> Scoring:
    request = SearchRequest("acme", ("everyone",), 10, SearchMode.LEXICAL, "pump", generation=name)
    return Scoring(name, 2, 0, {}, [request, request])


@pytest.mark.parametrize(
    ("seconds", "passed"), [(_USUAL, True), (SLOWER * _USUAL + SLACK_SECONDS + 0.03, False)], ids=["alike", "slower"]
)
def test_a_generation_with_slow_searches_is_refused(seconds: float, passed: bool) -> None:
    check = compare_latency(index(seconds=seconds), scoring("new"), scoring("old"))
    assert (check.name, check.passed) == ("latency", passed)
    assert check.figures["p95_ms"] >= seconds * 1000
    assert check.figures["baseline_p95_ms"] >= _USUAL * 1000


def test_latency_without_an_active_generation_is_reported_and_passes() -> None:
    assert compare_latency(index(), scoring("new"), None).passed


@pytest.mark.parametrize(
    ("points", "dimensions", "passed"),
    [(1000, 64, True), (int(1000 * MAX_GROWTH), 64, True), (1000, int(64 * MAX_GROWTH) + 1, False), (0, 64, False)],
)
def test_a_generation_that_is_empty_or_many_times_as_large_is_refused(
    points: int, dimensions: int, passed: bool
) -> None:
    new, old = (cast("Any", SimpleNamespace(name=name, dimensions=n)) for name, n in (("new", dimensions), ("old", 64)))
    check = size(CheckedGeneration(cast("Any", None), index(points=points), new, Settings()), old)
    assert (check.name, check.passed) == ("size", passed)


class Clients:
    """Clients, a clock, and a search of the throttle's own that takes `seconds` of it."""

    def __init__(self) -> None:
        self.now, self.calls, self.seconds, self.searches = 0.0, 0, 0.0, 0
        self.waited: list[float] = []
        self.throttle = Throttle(
            self.search, lambda: self.calls, slowdown=2, max_pause=0.5, active_seconds=5, wait=self.waited.append,
            clock=lambda: self.now,
        )  # fmt: skip

    def search(self) -> None:
        self.searches += 1
        self.now += self.seconds

    def pause(self, seconds: float, *, calls: int) -> float:
        """The pause after a slice of twenty seconds with searches of that length and so many calls of clients."""
        self.seconds = seconds
        for _ in range(20):
            self.calls += calls
            self.now += 1
            self.throttle.observe()
        return self.throttle.pause()


def test_a_build_pauses_longer_while_searches_are_slow_and_ends_it_when_they_are_not() -> None:
    clients = Clients()
    just_usual, slow = 1.9 * clients.throttle.usual, 3 * clients.throttle.usual
    pauses = [clients.pause(seconds, calls=1) for seconds in (just_usual, *[slow] * 5, *[just_usual] * 4)]
    assert pauses == [0, 0.1, 0.2, 0.4, 0.5, 0.5, 0.25, 0.125, 0.0625, 0]
    assert clients.throttle.paused_seconds == pytest.approx(sum(clients.waited))


def test_a_build_that_slows_only_the_throttles_own_search_runs_at_full_speed() -> None:
    clients = Clients()
    slow = 100 * clients.throttle.usual
    assert [clients.pause(slow, calls=0) for _ in range(3)] == [0, 0, 0]
    assert clients.searches == 0
    assert clients.pause(slow, calls=2) > 0
    assert clients.pause(slow, calls=0) == 0, "they have left"
    assert clients.waited == [0.1]


def test_a_probe_that_fails_slows_no_build() -> None:
    def away() -> None:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "away")

    with Throttle(away) as throttle:
        assert throttle.pause() == 0
