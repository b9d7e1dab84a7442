"""What an answer may rest on: retrieved passages with their blocks, and the passages around them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rag_core.content.parsing import PROSE, Block, BlockKind, parts_of
from rag_core.retrieval.index import SearchHit

Path = tuple[str, ...]
_NEVER_QUOTED: Final = frozenset({BlockKind.FRONT_MATTER, BlockKind.IMAGE})
"""Blocks that help a search and say nothing to a reader."""
_SENTENCES: Final = PROSE | {BlockKind.LIST, BlockKind.DEFINITIONS}
"""Blocks of whole sentences; a heading, a row or a command is no statement by itself."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a document. `start`, `end` and blocks are offsets into the document's text.

    `score` is the fused one of retrieval in [0, 1] and `dense` the cosine; a neighbour of a hit has neither.
    """

    doc_id: uuid.UUID
    locator: str
    title: str
    ordinal: int
    start: int
    end: int
    text: str
    headings: Path
    blocks: tuple[Block, ...]
    score: float = 0.0
    dense: float | None = None
    media_type: str = ""

    def says(self, start: int, end: int) -> bool:
        """Whether a span of `text`, counted from its start, lies in sentences."""
        blocks = [block for block in self.blocks if block.start - self.start < end and start < block.end - self.start]
        return not blocks or any(block.kind in _SENTENCES for block in blocks)

    def slice(self, start: int, end: int) -> str:
        """The document's text between two places within the passage."""
        return self.text[max(start - self.start, 0) : max(end - self.start, 0)]


def passage_of(hit: SearchHit) -> Passage:
    """A hit as the answerer reads it; one of an old generation, without blocks, is one paragraph."""
    held = hit.payload
    whole = Block(BlockKind.PARAGRAPH, held.start, held.start + len(held.text), page=held.page, path=held.headings)
    blocks = tuple(
        replace(block, parts=parts_of(block, held.text[block.start - held.start : block.end - held.start]))
        for block in held.blocks or (whole,)
    )
    return Passage(
        held.doc_id, held.locator, held.title, held.ordinal, held.start, held.start + len(held.text), held.text,
        held.headings, blocks, hit.score, hit.dense, held.media_type,
    )  # fmt: skip


def nearest(around: Iterable[SearchHit], hits: Sequence[SearchHit], chars: int) -> tuple[SearchHit, ...]:
    """As many of the chunks around hits as fit into so many characters: the nearest first, of equally near ones those
    of the better hit."""

    def distance(one: SearchHit) -> tuple[int, int]:
        places = [
            (abs(hit.payload.ordinal - one.payload.ordinal), rank)
            for rank, hit in enumerate(hits)
            if hit.payload.doc_id == one.payload.doc_id
        ]
        return min(places, default=(len(hits), 0))

    kept = []
    for one in sorted(around, key=distance):
        chars -= len(one.payload.text)
        if chars < 0:
            break
        kept.append(one)
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Place:
    """A block where it stands: the passage, by its position among all, and the headings above."""

    passage: int
    block: Block
    path: Path


@dataclass(slots=True)
class Reading:
    """Documents in reading order, as far as they are known: every block of every passage, and which follows which."""

    passages: Sequence[Passage]
    places: list[Place] = field(default_factory=list)
    document: list[int] = field(default_factory=list)
    """For each place, a number of its run of adjacent passages: places of one run follow each other without a gap."""

    def text(self, place: Place) -> str:
        return self.passages[place.passage].slice(place.block.start, place.block.end)


def read(passages: Sequence[Passage]) -> Reading:
    """Order passages by document and position, and list their blocks."""
    reading = Reading(passages)
    order = sorted(range(len(passages)), key=lambda at: (passages[at].doc_id, passages[at].ordinal))
    run, previous = -1, None
    for at in order:
        passage = passages[at]
        if previous is None or passage.doc_id != previous.doc_id or passage.ordinal != previous.ordinal + 1:
            run += 1
        for block in passage.blocks:
            if block.kind in _NEVER_QUOTED:
                continue
            reading.places.append(Place(at, block, block.path))
            reading.document.append(run)
        previous = passage
    return reading
