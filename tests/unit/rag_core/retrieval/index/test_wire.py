"""Values survive the wire; messages that mean nothing are refused. Payloads keep the structure of their text, and
those from before it was kept still read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from rag_core.content.documents import All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.content.parsing import Block, BlockKind, Link, Part, PartKind
from rag_core.errors import DataCorruption, Exhausted, InvalidInput, Reason
from rag_core.retrieval.engines.remote import wire, wire_payloads
from rag_core.retrieval.index import (
    GenerationSpec,
    IndexPoint,
    Payload,
    SearchHit,
    SearchMode,
    SearchResult,
    StoredPayload,
    from_json,
    hit_payload,
    to_json,
)
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


(_, PLAIN) = document("a", ["first", "- one\n- two"]).points
BLOCKS = (
    Block(
        BlockKind.LIST,
        1000,
        1011,
        page=4,
        parts=(Part(PartKind.ITEM, 1000, 1005), Part(PartKind.ITEM, 1006, 1011, 1)),
        path=("Top", "Section"),
    ),
)
LINKS = (Link(1002, 1005, "../one.md#first"),)
POINT = replace(PLAIN, payload=replace(PLAIN.payload, blocks=BLOCKS, page=4, links=LINKS))


def stored(point: IndexPoint) -> dict[str, Any]:
    return to_json(point, 2)


def test_blocks_page_and_links_come_back_from_the_index_and_over_the_wire() -> None:
    assert from_json(stored(POINT)) == POINT.payload
    assert wire.point_from_wire(wire.point_to_wire(POINT)).payload == POINT.payload


def test_a_payload_of_an_old_generation_has_no_blocks() -> None:
    old = stored(PLAIN)
    assert "structure" not in old
    assert from_json(old) == PLAIN.payload
    assert (PLAIN.payload.blocks, PLAIN.payload.page) == ((), 0)


def test_the_first_format_is_still_read() -> None:
    first = stored(POINT)
    first["structure"]["format"] = 1
    assert from_json(first) == POINT.payload


def test_a_form_that_a_later_release_writes_is_left_unread() -> None:
    later = stored(POINT) | {"structure": {"format": 3, "blocks": "something else"}}
    assert from_json(later) == PLAIN.payload


def test_the_structure_of_a_hit_passes_on_as_it_is_stored_until_somebody_reads_it() -> None:
    read = hit_payload(stored(POINT))
    assert isinstance(read, StoredPayload)
    message = wire_payloads.payload_to_wire(read)
    assert json.loads(message.structure) == stored(POINT)["structure"]
    received = wire_payloads.ReceivedPayload.of(message)
    assert (received.links, received.blocks, received.page) == (LINKS, BLOCKS, 4)
    assert received == read == POINT.payload
    changed = wire_payloads.payload_to_wire(replace(read, blocks=()))
    assert changed.structure == "", "blocks that were changed are not those that are stored"


@pytest.mark.parametrize("structure", [None, {}, {"format": 1}])
def test_a_structure_that_is_none_is_corruption_when_it_is_stored(structure: object) -> None:
    with pytest.raises(DataCorruption):
        hit_payload(stored(POINT) | {"structure": structure})


def test_damage_within_a_structure_is_corruption_for_who_reads_it() -> None:
    read = hit_payload(stored(POINT) | {"structure": {"format": 1, "blocks": [[99, 0, 1]]}})
    received = wire_payloads.ReceivedPayload.of(wire_payloads.payload_to_wire(read))
    for payload in (read, received):
        assert payload.text == POINT.payload.text
        with pytest.raises(DataCorruption):
            _ = payload.blocks


@pytest.mark.parametrize("structure", [None, {}, {"format": 1}, {"format": 1, "blocks": [[99, 0, 1]]}])
def test_damaged_structure_is_corruption(structure: object) -> None:
    with pytest.raises(DataCorruption):
        from_json(stored(POINT) | {"structure": structure})


def test_the_compact_form_is_small() -> None:
    payload: Payload = POINT.payload
    assert stored(POINT)["structure"] == {
        "format": 2,
        "blocks": [[2, 0, 11, 0, 4, "", [0, 0, 5, 0, 0, 6, 11, 1]]],
        "links": [[2, 5, "../one.md#first"]],
    }
    assert payload.blocks[0].path == payload.headings
