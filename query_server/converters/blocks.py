"""Blocks of passages as messages of query.v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rag_core.content.parsing import Block, BlockKind, PartKind, parts_of
from rag_core.retrieval.index import Payload
from ragproto.query.v2 import query_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

_KINDS: Final = {kind: pb.Block.Kind.Value(f"KIND_{kind.name}") for kind in BlockKind}
_ROLES: Final = {kind: pb.Block.Part.Role.Value(f"ROLE_{kind.name}") for kind in PartKind}


def add_blocks(
    blocks: RepeatedCompositeFieldContainer[pb.Block],
    payload: Payload,
    start: int | None = None,
    end: int | None = None,
) -> None:
    """Add the blocks of a passage; with a span, those that it touches.

    Each is made in its place: a search has tens of them, and a message that is given to another one is copied.
    """
    for block in touched(payload, payload.start if start is None else start, payload.end if end is None else end):
        added = blocks.add(
            kind=_KINDS[block.kind],
            start=block.start,
            end=block.end,
            page=block.page,
            heading_path=block.path,
            level=block.level,
            language=block.language,
            header=block.header,
        )
        for part in parts_of(block, payload.text[block.start - payload.start : block.end - payload.start]):
            added.parts.add(role=_ROLES[part.kind], start=part.start, end=part.end, level=part.level)


def touched(payload: Payload, start: int, end: int) -> list[Block]:
    """The blocks of a passage that a span of the document touches."""
    return [block for block in payload.blocks if block.start < end and start < block.end]
