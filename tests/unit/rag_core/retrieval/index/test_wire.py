"""Values survive the wire; messages that mean nothing are refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from rag_core.content.documents import All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import Exhausted, InvalidInput, Reason
from rag_core.retrieval.engines.remote import wire, wire_payloads
from rag_core.retrieval.index import GenerationSpec, SearchHit, SearchMode, SearchResult
from ragproto.admin.v1 import index_pb2 as pb
from tests.support.index_points import NEW_YEAR, document, removal, request

CONDITION: Condition = All(
    (
        In("source", ("a", "b")),
        AnyOf((Exists("language"), Not(In("title", ("x",))))),
        TimeRange("updated_at", gte=NEW_YEAR, lt=NEW_YEAR + timedelta(microseconds=1)),
        TimeRange("updated_at"),
        NumberRange("metadata.year", gte=0.0, lt=2.5),
    )
)


def test_a_specification_survives() -> None:
    spec = GenerationSpec("g1", 384, "e", "c")
    assert wire.spec_from_wire(wire.spec_to_wire(spec)) == spec


def test_a_point_survives() -> None:
    (point,) = document("a", ["text 文本"]).points
    back = wire.point_from_wire(wire.point_to_wire(point))
    assert (back.chunk_id, back.payload, back.lexical_text) == (point.chunk_id, point.payload, point.lexical_text)
    np.testing.assert_array_equal(back.vector, point.vector)


@pytest.mark.parametrize("mode", list(SearchMode))
def test_a_search_survives(mode: SearchMode) -> None:
    sent = request("text", mode=mode, filter=CONDITION, generation="g2", acl=("everyone", "user:ann"))
    back = wire.search_from_wire(wire.search_to_wire(sent))
    np.testing.assert_array_equal(back.vector, sent.vector)
    assert (back.filter, back.mode, back.generation, back.acl) == (CONDITION, mode, "g2", sent.acl)
    plain = wire.search_from_wire(wire.search_to_wire(request("text", vector=None)))
    assert (plain.vector, plain.filter, plain.generation) == (None, None, None)


def test_hits_survive_with_and_without_leg_scores() -> None:
    (point,) = document("a", ["text"]).points
    hits = (
        SearchHit(point.chunk_id, 0.5, point.payload, dense=0.25),
        SearchHit(point.chunk_id, 0.5, point.payload, lexical=0.0),
    )
    result = SearchResult("g1", hits)
    assert wire.result_from_wire(wire.result_to_wire(result)) == result


def test_a_received_payload_is_read_when_it_is_asked_for_and_is_then_as_any_other() -> None:
    (point,) = document("a", ["text"]).points
    sent = wire.result_to_wire(SearchResult("g1", (SearchHit(point.chunk_id, 0.5, point.payload),)))
    (hit,) = wire.result_from_wire(sent).hits
    received = hit.payload
    assert (received.source, received.text) == (point.payload.source, "text")
    assert received.doc_id == point.payload.doc_id
    assert point.payload == received
    assert received == point.payload
    moved = replace(received, ordinal=7)
    assert moved == replace(point.payload, ordinal=7)
    assert moved != received
    with pytest.raises(AttributeError):
        _ = received.unknown  # type: ignore[attr-defined]


def test_a_write_travels_in_frames_of_limited_size() -> None:
    updates = [
        document("big", [f"{n} " + "x" * 5000 for n in range(900)]),
        removal("gone"),
        document("small", ["text"]),
    ]
    frames = list(wire.apply_frames("g1", updates))
    assert len(frames) > 3
    assert all(frame.ByteSize() < 1.1 * 2**20 for frame in frames)
    assembler = wire.ApplyAssembler()
    for frame in frames:
        assembler.add(frame)
    generation, back = assembler.finish()
    assert generation == "g1"
    assert [(update.doc_id, update.version, len(update.points)) for update in back] == [
        (update.doc_id, update.version, len(update.points)) for update in updates
    ]
    assert [point.chunk_id for point in back[0].points] == [point.chunk_id for point in updates[0].points]


def test_a_write_beyond_the_limit_is_refused() -> None:
    assembler = wire.ApplyAssembler(max_bytes=1000)
    (frame,) = wire.apply_frames("g1", [document("a", ["x" * 2000])])
    with pytest.raises(Exhausted) as raised:
        assembler.add(frame)
    assert raised.value.reason is Reason.STREAM_LIMIT


def _assemble(*frames: pb.ApplyRequest) -> None:
    assembler = wire.ApplyAssembler()
    for frame in frames:
        assembler.add(frame)
    assembler.finish()


def _nested(depth: int) -> pb.SearchIndexRequest:
    condition: Condition = Exists("language")
    for _ in range(depth):
        condition = Not(condition)
    return wire.search_to_wire(request("text", filter=condition))


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda: _assemble(), Reason.MESSAGE_INVALID),
        (lambda: _assemble(pb.ApplyRequest(generation="a"), pb.ApplyRequest(generation="b")), Reason.MESSAGE_INVALID),
        (lambda: wire_payloads.id_from_wire(b"short"), Reason.MESSAGE_INVALID),
        (lambda: wire.vector_from_wire(b"12345"), Reason.MESSAGE_INVALID),
        (lambda: wire.search_from_wire(pb.SearchIndexRequest(mode="magic")), Reason.MESSAGE_INVALID),
        (lambda: wire.search_from_wire(pb.SearchIndexRequest(mode="dense", where={})), Reason.FILTER_TYPE),
        (lambda: wire.search_from_wire(_nested(9)), Reason.FILTER_TOO_COMPLEX),
        (lambda: wire.search_from_wire(pb.SearchIndexRequest(mode="dense", filter={})), Reason.MESSAGE_INVALID),
    ],
)
def test_messages_without_meaning_are_refused(use: object, reason: Reason) -> None:
    with pytest.raises(InvalidInput) as raised:
        use()  # type: ignore[operator]
    assert raised.value.reason is reason
