"""Chunks around a place: the right ones, and only what the caller may see."""

from __future__ import annotations

import pytest

from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.retrieval.index import ChunkRange, PendingRevocations, SearchRequest, VectorIndex
from tests.support.index_points import doc, document, filled, request

WORDS = [f"part {number}" for number in range(8)]


def around(index: VectorIndex, *places: ChunkRange, **fields: object) -> list[str]:
    """Texts at places, in reading order."""
    points = index.around(request("part", **fields), places)
    return [point.payload.text for point in sorted(points, key=lambda point: point.payload.ordinal)]


def test_the_chunks_of_a_range_are_read_and_no_others(index: VectorIndex) -> None:
    filled(index, document("a", WORDS), document("b", ["of another document"] * 1))
    assert around(index, ChunkRange(doc("a"), 1, 2, 4)) == ["part 2", "part 3", "part 4"]
    assert around(index, ChunkRange(doc("a"), 1, -2, 0), ChunkRange(doc("a"), 1, 7, 9)) == ["part 0", "part 7"]
    assert around(index, ChunkRange(doc("a"), 2, 0, 7)) == []  # of a version that is not held
    assert around(index) == []


def test_the_range_is_read_within_what_the_caller_may_see(index: VectorIndex) -> None:
    filled(
        index,
        document("a", WORDS, acl=("group:pilots",)),
        document("a", WORDS, tenant="beta"),
        document("wiki", WORDS, source="wiki"),
    )
    secret, foreign, wiki = (
        ChunkRange(doc("a"), 1, 0, 7),
        ChunkRange(doc("a", "beta"), 1, 0, 7),
        ChunkRange(doc("wiki"), 1, 0, 7),
    )
    assert around(index, secret, foreign) == []
    assert around(index, secret, acl=()) == []
    assert around(index, secret, acl=("group:pilots",)) == WORDS
    assert around(index, wiki) == WORDS
    assert around(index, wiki, pending_revocations=PendingRevocations((doc("wiki"),), ())) == []
    assert around(index, wiki, pending_revocations=PendingRevocations((), ("wiki",))) == []


def test_no_tenant_and_too_many_places_are_refused(index: VectorIndex) -> None:
    filled(index, document("a", WORDS))
    nobody: SearchRequest = request("part", tenant="")
    with pytest.raises(PermissionDenied) as denied:
        index.around(nobody, [ChunkRange(doc("a"), 1, 0, 1)])
    assert denied.value.reason is Reason.TENANT_MISSING
    with pytest.raises(InvalidInput):
        index.around(request("part"), [ChunkRange(doc("a"), 1, 0, 5000)])
