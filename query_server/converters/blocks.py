"""Blocks of passages as messages of query.v2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rag_core.content.parsing import Block, BlockKind, PartKind, parts_of
from rag_core.retrieval.index import Payload
from ragproto.query.v2 import query_pb2 as pb

_KINDS: Final = {kind: f"KIND_{kind.name}" for kind in BlockKind}
_ROLES: Final = {kind: f"ROLE_{kind.name}" for kind in PartKind}


def from_blocks(payload: Payload, start: int | None = None, end: int | None = None) -> Iterator[pb.Block]:
    """The blocks of a passage; with a span, those that it touches."""
    for block in touched(payload, payload.start if start is None else start, payload.end if end is None else end):
        text = payload.text[block.start - payload.start : block.end - payload.start]
        parts = [
            pb.Block.Part(role=_ROLES[part.kind], start=part.start, end=part.end, level=part.level)
            for part in parts_of(block, text)
        ]
        yield pb.Block(
            kind=_KINDS[block.kind],
            start=block.start,
            end=block.end,
            page=block.page,
            heading_path=block.path,
            level=block.level,
            language=block.language,
            header=block.header,
            parts=parts,
        )


def touched(payload: Payload, start: int, end: int) -> list[Block]:
    """The blocks of a passage that a span of the document touches."""
    return [block for block in payload.blocks if block.start < end and start < block.end]
