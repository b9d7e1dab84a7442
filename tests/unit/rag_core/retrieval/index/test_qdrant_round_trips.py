"""Requests of one search to a Qdrant server, one after the other: they cap what a query server can answer."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.nodes import Node
from tests.support.index_points import SPEC, document, request
from tests.support.qdrant_server import Door, StandIn

ROUND_TRIPS = Counter(query_batch_points=2)
"""Of a generation that is known. When it falls, lower it here; it is not to rise."""


def test_a_hybrid_search_takes_no_more_round_trips_than_it_did() -> None:
    door = Door(StandIn())
    index = QdrantIndex([Node(cast("Any", door))])
    index.create(SPEC)
    index.apply("g1", [document("a", ["a pump"]), document("b", ["a pump and a valve"])])
    index.promote("g1")
    for generation, more in (("g1", Counter[str]()), (None, Counter(get_aliases=1))):
        index.search(request("pump", generation=generation))
        door.calls.clear()
        assert len(index.search(request("pump", generation=generation)).hits) == 2
        assert Counter(door.asked) == ROUND_TRIPS + more
