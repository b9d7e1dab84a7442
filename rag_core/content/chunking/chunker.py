"""The chunker: a document in, chunks with exact offsets out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from rag_core.content.chunking.context import Context, ContextBuilder, headings_inside, shared_path
from rag_core.content.chunking.packing import UnitRange, pack, runs
from rag_core.content.chunking.spans import Chunk, trim
from rag_core.content.chunking.units import (
    DocumentOutline,
    TextUnit,
    TokenBudget,
    build_units,
    outline_sections,
    too_many_chunks,
    whole_blocks,
)
from rag_core.content.parsing import Block, BlockKind, Clipper, ParsedDocument
from rag_core.errors import InvalidInput, Reason
from rag_core.ids import chunk_ids, fingerprint, text_hash

if TYPE_CHECKING:
    from rag_core.content.embedding import TokenCounter
    from rag_core.settings import Settings

CHUNKER_VERSION: Final = 2
"""Raise it with every change that makes the same document give other chunks; a golden test notices when it is due."""


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """Sizes in model tokens; `context`: title and headings are put before the text that is embedded.

    `max_chunks` shapes no chunk and so is not part of the fingerprint.
    """

    tokens: int = 200
    overlap: int = 0
    max_chunks: int = 20_000
    context: bool = True


class _Piece(NamedTuple):
    """A chunk in the making."""

    start: int
    end: int
    headings: tuple[str, ...]
    embed_text: str
    tokens: int
    exact: bool


class Chunker:
    """Splits documents along their structure. Thread-safe, deterministic."""

    def __init__(self, settings: ChunkSettings, counter: TokenCounter) -> None:
        self._settings = settings
        self._counter = counter
        self._additive: bool | None = None

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same document could now give other chunks."""
        settings = self._settings
        # Only what differs from before there was a choice: the chunks of then are still the same.
        without = () if settings.context else ("without context",)
        sizes = (settings.tokens, settings.overlap)
        return fingerprint("chunker", CHUNKER_VERSION, *sizes, self._counter.fingerprint, *without)

    def chunk(self, doc_id: uuid.UUID, document: ParsedDocument) -> list[Chunk]:
        """The chunks in reading order. All text but white space is in one of them.

        Raises `InvalidInput`: `TOO_MANY_CHUNKS` above the cap, `ZERO_CHUNKS` when text yields none.
        """
        pieces = self._fit(document, self._pieces(document))
        if not pieces and document.text.strip():
            raise InvalidInput(
                Reason.ZERO_CHUNKS, "the document has text but gave no chunk; report it with the document"
            )
        if len(pieces) > self._settings.max_chunks:
            raise too_many_chunks(self._settings.max_chunks)
        clipper = Clipper(document.text, _with_paths(document))
        hashes = [text_hash(piece.embed_text) for piece in pieces]
        return [
            Chunk(
                chunk_id=chunk_id,
                ordinal=ordinal,
                start=piece.start,
                end=piece.end,
                text=document.text[piece.start : piece.end],
                headings=piece.headings,
                embed_text=piece.embed_text,
                text_hash=hashed,
                tokens=piece.tokens,
                blocks=clipper.clip(piece.start, piece.end),
            )
            for ordinal, (piece, hashed, chunk_id) in enumerate(
                zip(pieces, hashes, chunk_ids(doc_id, hashes), strict=True)
            )
        ]

    def _pieces(self, document: ParsedDocument) -> list[_Piece]:
        text, settings = document.text, self._settings
        budget = TokenBudget(self._counter, settings.tokens, settings.max_chunks)
        blocks = list(whole_blocks(document))
        sections, of_block = outline_sections(text, blocks)
        contexts = ContextBuilder(document.title, settings.tokens, self._counter, used=settings.context)
        headings = list({section.path[-1]: None for section in sections if section.path})
        contexts.learn(headings, budget.count(headings))
        caps = [
            _cap(block.kind, sections[section].path, contexts, settings.tokens)
            for block, section in zip(blocks, of_block, strict=True)
        ]
        outline = build_units(text, blocks, sections, of_block, caps, budget, by_sentence=settings.overlap > 0)
        packer = _Packer(text, outline, contexts, settings)
        return [packer.piece(packed) for packed in packer.packed()]

    def _fit(self, document: ParsedDocument, pieces: list[_Piece]) -> list[_Piece]:
        """Count what was only estimated, and halve the rare chunk that is too long after all."""
        if self._additive is None:
            self._additive = _is_additive(self._counter)
        fitted: list[_Piece] = []
        doubtful = [piece for piece in pieces if not (self._additive and piece.exact)]
        counts = dict(zip(doubtful, self._counter.count_many([piece.embed_text for piece in doubtful]), strict=True))
        for piece in pieces:
            counted = piece._replace(tokens=counts.get(piece, piece.tokens))
            fitted += self._halve(document.text, counted) if counted.tokens > self._settings.tokens else [counted]
        return fitted

    def _halve(self, text: str, piece: _Piece) -> list[_Piece]:
        """Cut a piece in two until it fits or is one code point; context stays as it is."""
        if piece.tokens <= self._settings.tokens or piece.end - piece.start < 2:
            return [piece]
        own = text[piece.start : piece.end]
        context = piece.embed_text.removesuffix(own)
        middle = (piece.start + piece.end) // 2
        space = text.rfind(" ", piece.start + 1, middle)
        cut = space if space > piece.start + (middle - piece.start) // 2 else middle
        halves = []
        for start, end in ((piece.start, cut), (cut, piece.end)):
            if span := trim(text, start, end, 0):
                embed_text = context + text[span.start : span.end]
                half = _Piece(span.start, span.end, piece.headings, embed_text, self._counter.count(embed_text), True)
                halves += self._halve(text, half)
        return halves


class _Packer:
    """Packs the units of one document and writes each chunk's context."""

    def __init__(self, text: str, outline: DocumentOutline, contexts: ContextBuilder, settings: ChunkSettings) -> None:
        self._text = text
        self._outline = outline
        self._contexts = contexts
        self._settings = settings

    def packed(self) -> list[UnitRange]:
        settings = self._settings
        chunks: list[UnitRange] = []
        for run in runs(self._outline, settings.tokens):
            for packed in pack(self._text, self._outline, run, self._room, settings.tokens, settings.overlap):
                chunks.append(packed)
                if len(chunks) > settings.max_chunks:
                    raise too_many_chunks(settings.max_chunks)
        return chunks

    def piece(self, packed: UnitRange) -> _Piece:
        units = self._outline.units[packed.first : packed.last]
        headings = self._headings(units)
        inside = headings_inside(self._outline, units)
        header = self._repeated(packed.first)
        own_tokens = sum(unit.tokens for unit in units)
        if own_tokens + header.tokens > self._settings.tokens:
            header = Context("", 0)
        context = self._contexts.within(headings, inside, self._settings.tokens - own_tokens - header.tokens)
        own = self._text[units[0].start : units[-1].end]
        lead = "\n".join(part for part in (context.text, header.text) if part)
        return _Piece(
            start=units[0].start,
            end=units[-1].end,
            headings=headings,
            embed_text=f"{lead}\n\n{own}" if lead else own,
            tokens=context.tokens + header.tokens + own_tokens,
            # Counts add up over white space; where sentences touch, as in Chinese, they only nearly do.
            exact=all(before.end < after.start for before, after in pairwise(units)),
        )

    def _headings(self, units: Sequence[TextUnit]) -> tuple[str, ...]:
        """The headings above all units; front matter before the first heading does not take it from the others."""
        sections = [self._outline.sections[index] for index in dict.fromkeys(unit.section for unit in units)]
        return shared_path([section.path for section in sections if section.path or section.has_body] or [()])

    def _room(self, first: int) -> int:
        """Tokens that a chunk beginning with this unit has for its text."""
        unit = self._outline.units[first]
        path = self._outline.sections[unit.section].path
        inside: Sequence[str] = path[-1:] if unit.heading else ()
        return self._settings.tokens - self._contexts.of(path, inside).tokens - self._repeated(first).tokens

    def _repeated(self, first: int) -> Context:
        """The header row or the terms for a chunk that begins within a table or a description."""
        repeat = self._outline.units[first].repeat
        if repeat is None:
            return Context("", 0)
        return self._contexts.repeating(self._text[repeat.start : repeat.end], repeat.tokens)


def _cap(kind: BlockKind, path: tuple[str, ...], contexts: ContextBuilder, limit: int) -> int:
    """Tokens of the largest unit that a block is cut into."""
    room = limit - contexts.of(path).tokens
    if kind is BlockKind.TABLE:
        # A row of a cut table shares its chunk with the table's header; rows of other tables lose a little room.
        return room - contexts.header_cap
    if kind in (BlockKind.CODE, BlockKind.DEFINITIONS):
        # Rather than to cut them, their chunk does with less context, down to the heading above them.
        return max(room, limit - contexts.nearest(path).tokens)
    return room


def _with_paths(document: ParsedDocument) -> list[Block]:
    """The blocks, each with the headings above it; a heading stands under itself."""
    blocks = list(whole_blocks(document))
    sections, of_block = outline_sections(document.text, blocks)
    return [replace(block, path=sections[at].path) for block, at in zip(blocks, of_block, strict=True)]


def open_chunker(settings: Settings) -> Chunker:
    """The chunker as configured; counts with the bundled model's tokenizer, whichever embedder is used."""
    from rag_core.content.embedding import open_token_counter

    sizes = ChunkSettings(
        settings.chunk_tokens, settings.chunk_overlap, settings.max_chunks, context=settings.chunk_context
    )
    return Chunker(sizes, open_token_counter(settings))


def _is_additive(counter: TokenCounter) -> bool:
    """Return whether token counts add up over white space, so that sums need no second counting."""
    parts = ["The quick brown fox.", "jumps, over 3 lazy dogs!", "中文句子。", "a > b"]
    return all(
        counter.count(separator.join(parts)) == sum(counter.count_many(parts)) for separator in (" ", "\n", "\n\n")
    )
