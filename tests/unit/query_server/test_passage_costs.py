"""A hit that only passes through the query server is copied from message to message; counted, not timed."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from query_server.converters.query_v2 import from_page
from query_server.handlers.query.search import ResultPage
from rag_core.retrieval.engines.remote import wire
from rag_core.retrieval.index import SearchResult
from ragproto.admin.v1 import index_pb2
from ragproto.query.v2 import query_pb2 as pb
from tests.unit.query_server.test_blocks_in_answers import HIT, POINT

PLAIN = replace(
    HIT, payload=replace(POINT.payload, headings=("Top", "Setup"), metadata={"team": "a"}), dense=0.25, lexical=1.5
)
HITS = 10
PYTHON_CALLS = {"plain": 130, "with blocks": 476}
"""Of functions written in Python, for ten hits. When the figure falls, lower it here; it is not to rise.
Three more a hit than before its links were kept."""


def _received(*hits: Any) -> index_pb2.SearchIndexResponse:
    return index_pb2.SearchIndexResponse.FromString(wire.result_to_wire(SearchResult("g", hits)).SerializeToString())


def _shown(message: index_pb2.SearchIndexResponse) -> pb.SearchResponse:
    return from_page(ResultPage(wire.result_from_wire(message), "", None))


@pytest.mark.parametrize("hit", [HIT, PLAIN], ids=["with blocks", "without"])
def test_a_hit_of_another_process_is_shown_as_one_of_this_process_is(hit: Any) -> None:
    assert _shown(_received(hit)) == from_page(ResultPage(SearchResult("g", (hit,)), "", None))


@pytest.mark.parametrize(("kind", "hit"), [("plain", PLAIN), ("with blocks", HIT)])
def test_a_hit_passes_through_with_few_calls(kind: str, hit: Any) -> None:
    message = _received(*[hit] * HITS)
    called = Counter[str]()

    def count(frame: Any, event: str, _: object) -> None:
        if event == "call":
            called[frame.f_code.co_qualname] += 1

    gc.collect()  # what other tests left behind is not called during the count
    sys.setprofile(count)
    try:
        _shown(message)
    finally:
        sys.setprofile(None)
    assert called.total() <= PYTHON_CALLS[kind], called.most_common(8)
