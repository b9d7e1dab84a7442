"""Payloads keep the structure of their text, and those from before it was kept still read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rag_core.content.parsing import Block, BlockKind, Link, Part, PartKind
from rag_core.errors import DataCorruption
from rag_core.retrieval.engines.remote import wire, wire_payloads
from rag_core.retrieval.index import IndexPoint, Payload, StoredPayload, from_json, hit_payload, to_json
from tests.support.index_points import document

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
