"""Read retrieved passages and those around them as documents in reading order, block by block."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rag_core.content.parsing import Block, BlockKind, Link, parts_of
from rag_core.retrieval.index import SearchHit

Path = tuple[str, ...]
MAX_CHARS: Final = 16_384
"""Characters of a chunk that are read: no fewer than the platform's chunks have, and as many as an embedder reads."""
_NEVER_QUOTED: Final = frozenset({BlockKind.FRONT_MATTER, BlockKind.IMAGE})
"""Blocks that help a search and say nothing to a reader."""
_NOT_SHOWN_ALONE: Final = _NEVER_QUOTED | {BlockKind.HEADING}


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk of a document. `start`, `end` and blocks are offsets into the document's text.

    `dense` is the cosine, which a neighbour of a hit does not have, and `gain` what it is preferred by.
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
    dense: float | None = None
    media_type: str = ""
    links: tuple[Link, ...] = ()
    gain: float = 0.0

    @property
    def quotable(self) -> bool:
        """Return whether the passage has more than headings, which stand above what is shown."""
        return any(block.kind not in _NOT_SHOWN_ALONE for block in self.blocks)

    @property
    def searched(self) -> str:
        """Return the text with its title, name and headings, as a search finds it."""
        return "\n".join((self.title, re.sub(r"[-_/.]", " ", self.locator), *self.headings, self.text))

    def slice(self, start: int, end: int) -> str:
        """Return the document's text between two offsets within the passage."""
        return self.text[max(start - self.start, 0) : max(end - self.start, 0)]


def passage_of(hit: SearchHit) -> Passage:
    """Convert a hit; one of an old generation, without blocks, is one paragraph."""
    held = hit.payload
    text = held.text[:MAX_CHARS]
    end = held.start + len(text)
    whole = Block(BlockKind.PARAGRAPH, held.start, end, page=held.page, path=held.headings)
    blocks = tuple(_read_block(block, held.start, text) for block in held.blocks or (whole,) if block.start < end)
    return Passage(
        held.doc_id, held.locator, held.title, held.ordinal, held.start, end, text,
        held.headings, blocks, hit.dense, held.media_type, held.links, hit.relevance - hit.relevance_alone,
    )  # fmt: skip


def _read_block(block: Block, start: int, text: str) -> Block:
    """Cut a block to the text that is read, and find its parts."""
    end = min(block.end, start + len(text))
    return replace(block, end=end, parts=parts_of(block, text[block.start - start : end - start]))


@dataclass(frozen=True, slots=True)
class BlockPosition:
    """A block and the passage it stands in, by its number among all passages."""

    passage: int
    block: Block


@dataclass(slots=True)
class Reading:
    """Documents in reading order, as far as they are known: every block of every passage, and which follows which."""

    passages: Sequence[Passage]
    positions: list[BlockPosition] = field(default_factory=list)
    run: list[int] = field(default_factory=list)
    """For each position, the number of its run of adjacent passages: blocks of one run follow each other without a
    gap."""

    def text(self, position: BlockPosition) -> str:
        """Return the text of a block."""
        return self.passages[position.passage].slice(position.block.start, position.block.end)


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
            reading.positions.append(BlockPosition(at, block))
            reading.run.append(run)
        previous = passage
    return reading
