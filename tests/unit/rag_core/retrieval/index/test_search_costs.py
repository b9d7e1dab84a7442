"""What a search of the embedded index costs, counted and not timed: calls of the engine and of Python functions.

When a figure falls, lower it here; it is not to rise.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.retrieval.index import SearchMode, SearchRequest, Visibility
from tests.support.index_points import SPEC, document, filled, request

DOCUMENTS = 150
ENGINE_CALLS = {
    SearchMode.HYBRID: Counter(query_batch=1, retrieve=2),
    SearchMode.DENSE: Counter(query=1, retrieve=1),
    SearchMode.LEXICAL: Counter(query=1, retrieve=1),
}
PYTHON_CALLS = {SearchMode.HYBRID: 970, SearchMode.DENSE: 470, SearchMode.LEXICAL: 500}
"""Of functions written in Python, for ten hits out of a hundred candidates of each leg. Twenty are the
entries of ACLs that refuse, and the links."""


class CountedShard:
    """A shard whose calls are counted."""

    def __init__(self, shard: Any) -> None:
        self._shard = shard
        self.calls = Counter[str]()
        self.payloads = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._shard, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            found = method(*args, **options)
            self.payloads += sum(one.payload is not None for one in found) if name == "retrieve" else 0
            return found

        return call


@pytest.fixture
def index(index: EdgeIndex) -> EdgeIndex:
    """Documents that all have the words of the question, and the statistics of who asks."""
    filled(index, *(document(f"d{n}", [f"wing flap {n}"]) for n in range(DOCUMENTS)))
    reader, seen = _reader(index), Visibility.of(_asked(SearchMode.HYBRID))
    while reader.statistics(seen) is None:
        reader.kept.settle()
    return index


@pytest.mark.parametrize("mode", SearchMode)
def test_a_search_makes_no_more_calls_of_the_engine_than_it_did(
    index: EdgeIndex, monkeypatch: pytest.MonkeyPatch, mode: SearchMode
) -> None:
    reader = _reader(index)
    counted = CountedShard(reader.shard)
    monkeypatch.setattr(reader, "call", lambda read: read(counted))
    assert len(index.search(_asked(mode)).hits) == 10
    assert counted.calls == ENGINE_CALLS[mode]
    assert counted.payloads == 10, "payloads are read of the hits alone"


@pytest.mark.parametrize("mode", SearchMode)
def test_a_search_makes_no_more_calls_of_python_functions_than_it_did(index: EdgeIndex, mode: SearchMode) -> None:
    index.search(_asked(mode))  # caches fill
    called = Counter[str]()

    def count(frame: Any, event: str, _: object) -> None:
        if event == "call":
            called[frame.f_code.co_qualname] += 1

    sys.setprofile(count)
    try:
        index.search(_asked(mode))
    finally:
        sys.setprofile(None)
    assert called.total() <= PYTHON_CALLS[mode], called.most_common(8)


def _asked(mode: SearchMode) -> SearchRequest:
    return request("wing flap", mode=mode)


def _reader(index: EdgeIndex) -> ShardReader:
    return index._generations[SPEC.name].reader
