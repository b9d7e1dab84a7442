"""Positions where a text may be cut: between blocks, lines, sentences, words, and only then anywhere."""

from __future__ import annotations

import re
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from rag_core.content.parsing import PROSE, Block, Part, PartKind


class Border(IntEnum):
    """Quality of a cut between two spans. Headings count from here by level: `HEADING + 6 - level`."""

    HARD = 0
    WORD = 1
    SENTENCE = 2
    LINE = 3
    GAP = 4
    BLOCK = 5
    HEADING = 6


class TextSpan(NamedTuple):
    """`text[start:end]` without white space at its ends, and the border before it."""

    start: int
    end: int
    border: int


# A Chinese sentence end stands by itself, a Latin one needs white space behind it. That is checked outside of the
# pattern, which would try again from each mark of a long run.
_SENTENCE_END: Final = re.compile(r"[。！？；…｡]++[\"'”’』」）)\]]*+|[.!?]++[\"'”’)\]]*+")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|ca|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Figs|Eq|Sec|Ch|Vol|pp|al|Inc|Ltd|Co|Corp|approx|incl)"
    r"|\b[A-Z])\.$"
)
_WORD_ENDS: Final = (" ", "\n", "\t", "，", "、", ",", "：", ":", ";", "|", "/")
_MARK: Final = re.compile(r"[ \t]{0,40}+(?:[-*+•·]|\(?\d{1,3}[.)、]|\(?[a-z][.)])\s")
_NOT_SPACE: Final = re.compile(r"\S")


def trim(text: str, start: int, end: int, border: int) -> TextSpan | None:
    """The span without white space at its ends; `None` when nothing is left."""
    while end > start and text[end - 1].isspace():
        end -= 1
    while start < end and text[start].isspace():
        start += 1
    return TextSpan(start, end, border) if start < end else None


def split(text: str, span: TextSpan, block: Block, limit: int) -> list[TextSpan]:
    """The next finer spans of one that is too long: entries, else lines, else sentences, else pieces of about `limit`.

    Always makes progress for a span of two or more code points; the first span keeps the border of the whole.
    """
    parts: list[TextSpan] = []
    if block.kind not in PROSE:
        parts = list(_entries(text, span, block))
        parts = parts if len(parts) > 1 else list(_lines(text, span))
    if len(parts) < 2:
        parts = list(_sentences(text, span))
    if len(parts) < 2:
        parts = list(_pieces(text, span, max(1, min(limit, (span.end - span.start) // 2))))
    return [parts[0]._replace(border=span.border), *parts[1:]]


def sentences(text: str, span: TextSpan) -> list[TextSpan]:
    """The sentences of a span; the first keeps its border."""
    parts = list(_sentences(text, span))
    return [parts[0]._replace(border=span.border), *parts[1:]]


def _entries(text: str, span: TextSpan, block: Block) -> Iterator[TextSpan]:
    """The entries of a list or of definitions: an item with what is indented below it, a term with its description.

    Of one entry alone, the entries within it; of one that has none, its parts, a term with what follows it.
    """
    first = bisect_right(block.parts, span.start, key=lambda part: part.start)
    last = bisect_left(block.parts, span.end, key=lambda part: part.start)
    if first >= last:
        return
    inside = range(first, last)
    begins = [at for at in inside if _begins_entry(text, block.parts, at)]
    level = min((block.parts[at].level for at in begins), default=0)
    cuts = [at for at in begins if block.parts[at].level == level]
    if not cuts:
        cuts = [at for at in inside if block.parts[at - 1].kind is not PartKind.TERM]
    position, border = span.start, span.border
    for at in cuts:
        if part := trim(text, position, block.parts[at].start, border):
            yield part
        position, border = block.parts[at].start, Border.SENTENCE if block.parts[at].level else Border.LINE
    if part := trim(text, position, span.end, border):
        yield part


def _begins_entry(text: str, parts: Sequence[Part], at: int) -> bool:
    part = parts[at]
    if part.kind is PartKind.TERM:
        return at == 0 or parts[at - 1].kind is not PartKind.TERM
    return part.kind is PartKind.ITEM and _MARK.match(text, part.start, part.end) is not None


def _lines(text: str, span: TextSpan) -> Iterator[TextSpan]:
    position, empty = span.start, False
    while position < span.end:
        line_end = text.find("\n", position, span.end)
        line_end = span.end if line_end < 0 else line_end
        # Behind an empty line is the best place in code and lists, before an indented one the worst.
        indented = text[position].isspace()
        border = Border.GAP if empty else Border.SENTENCE if indented else Border.LINE
        part = trim(text, position, line_end, border)
        empty = part is None
        if part:
            yield part
        position = line_end + 1


def _sentences(text: str, span: TextSpan) -> Iterator[TextSpan]:
    position = span.start
    for match in _SENTENCE_END.finditer(text, span.start, span.end):
        if match.group()[0] in ".!?" and not _ends_sentence(text, match, span):
            continue
        if part := trim(text, position, match.end(), Border.SENTENCE):
            yield part
        position = match.end()
    if part := trim(text, position, span.end, Border.SENTENCE):
        yield part


def _ends_sentence(text: str, match: re.Match[str], span: TextSpan) -> bool:
    """Return whether white space follows a Latin mark and, if it is a full stop, it ends no abbreviation."""
    end = match.end()
    if end == span.end or not text[end].isspace():
        return False
    if match.group()[0] != ".":
        return True
    following = _NOT_SPACE.search(text, end, min(end + 100, span.end))
    if following is not None and following.group().islower():
        return False
    return _ABBREVIATION.search(text[max(span.start, end - 8) : end]) is None


def _pieces(text: str, span: TextSpan, size: int) -> Iterator[TextSpan]:
    """Pieces of at most `size` code points, cut behind a word when the last half of the piece has one."""
    position, border = span.start, int(Border.WORD)
    while position < span.end:
        cut = min(position + size, span.end)
        next_border = Border.WORD
        if cut < span.end and not text[cut].isspace():
            half = position + size // 2
            at = max(text.rfind(end, half, cut) for end in _WORD_ENDS)
            cut, next_border = (at + 1, Border.WORD) if at >= half and at + 1 > position else (cut, Border.HARD)
        if part := trim(text, position, cut, border):
            yield part
        position, border = cut, next_border


# --------------------------------------------------------------------------------------------------------------------
# The nouns of the platform as plain immutable values. No behaviour, no I/O.


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document that is embedded and retrieved as one.

    `text` equals `document.text[start:end]`. `embed_text` is what the embedder and the lexical leg see: title and
    heading path, then the text. `text_hash` is the hash of `embed_text`.
    """

    chunk_id: uuid.UUID
    ordinal: int
    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    embed_text: str
    text_hash: bytes
    tokens: int
    blocks: tuple[Block, ...] = ()
    """The blocks of the document's structure in the span, each with the headings above it."""
