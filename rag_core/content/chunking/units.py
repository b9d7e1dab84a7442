"""The smallest units a document is packed from, each with its token count, in the sections of its headings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from rag_core.content.chunking.spans import Border, TextSpan, sentences, split, trim
from rag_core.content.parsing import PROSE, Block, BlockKind, ParsedDocument, repeated
from rag_core.errors import InvalidInput, Reason

if TYPE_CHECKING:
    from rag_core.content.embedding import TokenCounter

# No known tokenizer needs fewer tokens than this for running text; longer blocks are cut without being counted first.
_MAX_CHARS_PER_TOKEN: Final = 8
_BATCH: Final = 4096


@dataclass(slots=True)
class HeadingSection:
    """The units under one heading, up to the next one. `path` ends with its own heading; the first may have none."""

    path: tuple[str, ...]
    level: int
    first: int = 0
    last: int = 0
    """Units `[first, last)`."""
    tokens: int = 0
    has_body: bool = False


@dataclass(slots=True)
class TextUnit:
    """`text[start:end]`: never cut when chunks are packed."""

    start: int
    end: int
    border: int
    tokens: int
    section: int
    heading: bool = False
    leads: bool = False
    """Belongs to what follows: a heading, the header row of a table that is cut, a term before its description."""
    repeat: Repeat | None = None
    """The context that a chunk repeats when it begins with this unit."""


@dataclass(slots=True)
class Repeat:
    """The header row of a cut table, or the terms of a cut description. Offsets into the text."""

    start: int
    end: int
    tokens: int = 0


@dataclass(slots=True)
class DocumentOutline:
    """A document as units and sections, in reading order."""

    units: list[TextUnit] = field(default_factory=list)
    sections: list[HeadingSection] = field(default_factory=list)


class TokenBudget:
    """Counts tokens in batches and stops when the document is certain to exceed the cap on chunks."""

    def __init__(self, counter: TokenCounter, max_tokens: int, max_chunks: int) -> None:
        self._counter = counter
        self._most = max_tokens * max_chunks
        self._max_chunks = max_chunks

    def count(self, texts: Iterable[str]) -> list[int]:
        """Token counts, in order. Raises `InvalidInput` (`TOO_MANY_CHUNKS`)."""
        counts: list[int] = []
        total = 0
        remaining = iter(texts)
        while batch := list(islice(remaining, _BATCH)):
            counted = self._counter.count_many(batch)
            counts += counted
            total += sum(counted)
            if total > self._most:
                raise too_many_chunks(self._max_chunks)
        return counts


def too_many_chunks(cap: int) -> InvalidInput:
    """The error for a document above the cap on chunks."""
    return InvalidInput(
        Reason.TOO_MANY_CHUNKS, f"the document makes more than {cap} chunks; split it or raise the limit"
    )


def whole_blocks(document: ParsedDocument) -> Iterator[Block]:
    """The blocks, with what lies between them as paragraphs: all text is covered whatever the parser left out."""
    position = 0
    for block in document.blocks:
        if gap := trim(document.text, position, block.start, Border.BLOCK):
            yield Block(BlockKind.PARAGRAPH, gap.start, gap.end)
        if own := trim(document.text, max(block.start, position), block.end, Border.BLOCK):
            yield replace(block, start=own.start, end=own.end)
        position = max(position, block.end)
    if rest := trim(document.text, position, len(document.text), Border.BLOCK):
        yield Block(BlockKind.PARAGRAPH, rest.start, rest.end)


def outline_sections(text: str, blocks: list[Block]) -> tuple[list[HeadingSection], list[int]]:
    """The sections, and for each block the index of its own."""
    sections: list[HeadingSection] = []
    of_block: list[int] = []
    stack: list[tuple[int, str]] = []
    for block in blocks:
        if block.kind is BlockKind.HEADING:
            while stack and stack[-1][0] >= block.level:
                stack.pop()
            stack.append((block.level, " ".join(text[block.start : block.end].split())))
            sections.append(HeadingSection(tuple(heading for _, heading in stack), block.level))
        elif not sections:
            sections.append(HeadingSection((), 0))
        of_block.append(len(sections) - 1)
    return sections, of_block


def build_units(
    text: str,
    blocks: list[Block],
    sections: list[HeadingSection],
    of_block: list[int],
    caps: list[int],
    budget: TokenBudget,
    *,
    by_sentence: bool,
) -> DocumentOutline:
    """Cut each block into units of at most its cap in tokens; blocks that fit stay whole.

    `by_sentence` cuts paragraphs into sentences even when they fit, so that chunks can overlap by sentences.
    """
    spans: list[list[TextSpan]] = []
    for block in blocks:
        border = Border.HEADING + 6 - block.level if block.kind is BlockKind.HEADING else Border.BLOCK
        whole = TextSpan(block.start, block.end, border)
        prose = block.kind in PROSE and by_sentence
        spans.append(sentences(text, whole) if prose else [whole])
    counts = _refine(text, blocks, spans, caps, budget)
    return _assemble(text, blocks, spans, counts, sections, of_block, budget)


def _refine(
    text: str, blocks: list[Block], spans: list[list[TextSpan]], caps: list[int], budget: TokenBudget
) -> dict[TextSpan, int]:
    """Split spans in place until each fits its cap. One counting pass per level of cutting, all blocks together."""
    counts: dict[TextSpan, int] = {}
    waiting = list(range(len(blocks)))
    while waiting:
        new = [
            span
            for index in waiting
            for span in spans[index]
            if span not in counts and span.end - span.start <= _MAX_CHARS_PER_TOKEN * caps[index]
        ]
        counts.update(zip(new, budget.count(text[span.start : span.end] for span in new), strict=True))
        waiting = [index for index in waiting if _split_large(text, blocks[index], spans, index, caps[index], counts)]
    return counts


def _split_large(
    text: str, block: Block, spans: list[list[TextSpan]], index: int, cap: int, counts: dict[TextSpan, int]
) -> bool:
    """Replace what is too large in one block by finer spans; whether there was any."""
    finer: list[TextSpan] = []
    changed = False
    for span in spans[index]:
        tokens, length = counts.get(span), span.end - span.start
        if (tokens is not None and tokens <= cap) or length < 2:
            finer.append(span)
            continue
        changed = True
        # A quarter of the cap in tokens, in code points of this very text; one token each when it was not counted.
        finer += split(text, span, block, max(1, length * cap // (4 * (tokens or length))))
    spans[index] = finer
    return changed


def _assemble(
    text: str,
    blocks: list[Block],
    spans: list[list[TextSpan]],
    counts: dict[TextSpan, int],
    sections: list[HeadingSection],
    of_block: list[int],
    budget: TokenBudget,
) -> DocumentOutline:
    outline = DocumentOutline(sections=sections)
    repeats: dict[tuple[int, int], Repeat] = {}
    for block, parts, index in zip(blocks, spans, of_block, strict=True):
        section, heading = sections[index], block.kind is BlockKind.HEADING
        if not section.last:
            section.first = len(outline.units)
        for number, span in enumerate(parts):
            tokens = counts.get(span, 1)
            unit = TextUnit(span.start, span.end, span.border, tokens, index)
            unit.heading = heading and number == 0
            lost = repeated(block, text, span.start) if number else None
            if lost is not None:
                unit.repeat = repeats.setdefault(lost, Repeat(*lost))
                # The unit that is, or ends with, what the next one would repeat is not to be left alone.
                before = outline.units[-1]
                before.leads = before.leads or before.end <= lost[1]
            unit.leads = unit.heading
            outline.units.append(unit)
            section.tokens += tokens
        section.last = len(outline.units)
        section.has_body = section.has_body or block.kind is not BlockKind.HEADING
    found = list(repeats.values())
    for repeat, tokens in zip(found, budget.count(text[one.start : one.end] for one in found), strict=True):
        repeat.tokens = tokens
    return outline
