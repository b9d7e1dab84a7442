"""Assembles the text of a document block by block, so that offsets are right by construction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import MAX_LANGUAGE_CHARS, Block, BlockKind, Part, PartKind
from rag_core.content.parsing.clean import ZERO_WIDTH_FLAG, clean, has_suspect_invisibles, is_wide, one_line
from rag_core.content.parsing.links import MAX_LINKS, Link, NamedTarget, locate, nothing_but_links
from rag_core.errors import InvalidInput, Reason

MAX_TITLE_CHARS = 300
MAX_HEADING_CHARS = 300
MAX_METADATA_CHARS = 2000
MAX_METADATA_ENTRIES = 64
_SEPARATOR = "\n\n"
_BADGE: Final = re.compile(r"badge|shields\.io|/actions/workflows/|travis-ci|coveralls", re.IGNORECASE)
_IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".bmp", ".tif", ".tiff", ".emf", ".wmf")
_LETTERS: Final = re.compile(r"[^\W\d_]{2,}")
_WIDE_CHARS: Final = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a block in the making."""

    kind: PartKind
    text: str
    level: int = 0
    links: tuple[NamedTarget, ...] = ()


def _leads_within(piece: Piece) -> bool:
    """Return whether an item is nothing but a link to a place in the same page."""
    own = all(target.startswith("#") for _, target in piece.links)
    return own and nothing_but_links(piece.text, piece.links)


class TextBuilder:
    """Collects cleaned blocks, separated by an empty line, within the limits."""

    def __init__(self, limits: ParseLimits) -> None:
        self.limits = limits
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._links: list[Link] = []
        self._length = 0
        self._named = 0
        self.page = 0
        """Page of what is added next, from 1; 0 in formats without pages."""
        self.flags: set[str] = set()
        self.first_heading = ""

    @property
    def empty(self) -> bool:
        return not self._blocks

    def add(
        self, kind: BlockKind, text: str, level: int = 0, language: str = "", links: Sequence[NamedTarget] = ()
    ) -> None:
        """Append a block; blank text is dropped.

        Raises `InvalidInput` (`TEXT_TOO_LARGE`, `TOO_MANY_CHUNKS`) when the document outgrows its limits.
        """
        cleaned = self._clean(text)
        # Leading spaces are structure in code and tables, noise elsewhere.
        cleaned = cleaned.strip("\n").rstrip() if kind in (BlockKind.CODE, BlockKind.TABLE) else cleaned.strip()
        if not cleaned.strip():
            return
        if kind is BlockKind.HEADING:
            kind, cleaned, level = self._heading(cleaned, level)
        start = self._append(kind, cleaned, level, one_line(language, MAX_LANGUAGE_CHARS))
        self._link(cleaned, links, start)

    def heading(self, text: str, level: int) -> None:
        """Append a heading of `level` (cut to 1..6)."""
        self.add(BlockKind.HEADING, text, min(max(level, 1), 6))

    def add_parts(self, kind: BlockKind, pieces: Sequence[Piece], header: str = "") -> None:
        """Append a block of lines, each a part: items, or terms with their descriptions. Raises as `add` does.

        `header` is the term of a description that another block stands before. A list of the page's own sections is
        left out: it has their words and no answer.
        """
        if pieces and all(map(_leads_within, pieces)):
            return
        cleaned = [replace(piece, text=self._clean(piece.text).strip("\n").rstrip()) for piece in pieces]
        cleaned = [piece for piece in cleaned if piece.text.strip()]
        if not cleaned:
            return
        position = self._append(kind, "\n".join(piece.text for piece in cleaned), 0)
        parts = []
        for piece in cleaned:
            parts.append(Part(piece.kind, position, position + len(piece.text), piece.level))
            self._link(piece.text, piece.links, position)
            position += len(piece.text) + 1
        self._named += len(parts)
        if self._named <= self.limits.max_blocks:  # beyond, lines are parts enough
            self._blocks[-1] = replace(self._blocks[-1], parts=tuple(parts), header=one_line(header, MAX_HEADING_CHARS))

    def paragraph(self, text: str, links: Sequence[NamedTarget] = ()) -> None:
        self.add(BlockKind.PARAGRAPH, text, links=links)

    def table(self, rows: Sequence[str], *, header: bool = True, links: Sequence[NamedTarget] = ()) -> None:
        """Append a table, one line per row; the first names the columns unless there is no `header`."""
        rows = [row for row in rows if row.strip()]
        if header:
            self.add(BlockKind.TABLE, "\n".join(rows), links=links)
        else:
            self.add_parts(BlockKind.TABLE, [Piece(PartKind.ROW, row) for row in rows])

    def image(self, description: str, source: str = "") -> None:
        """Append what an image is said to show, unless it is a badge or its description only a name."""
        line = one_line(description, MAX_HEADING_CHARS)
        if describes(line) and not _BADGE.search(source[:2000]):
            self.add(BlockKind.IMAGE, line)

    def finish(self, media_type: str, *, title: str = "", metadata: Mapping[str, str] | None = None) -> ParsedDocument:
        """The document so far. `title` falls back to the first heading."""
        return ParsedDocument(
            text=_SEPARATOR.join(self._parts),
            media_type=media_type,
            title=one_line(title, MAX_TITLE_CHARS) or one_line(self.first_heading, MAX_TITLE_CHARS),
            blocks=tuple(self._blocks),
            metadata=clean_metadata(metadata or {}),
            flags=frozenset(self.flags),
            links=tuple(self._links),
        )

    def _link(self, text: str, links: Sequence[NamedTarget], start: int) -> None:
        if links and len(self._links) < MAX_LINKS:
            self._links += islice(locate(text, links, start), MAX_LINKS - len(self._links))

    def _heading(self, text: str, level: int) -> tuple[BlockKind, str, int]:
        line = " ".join(text.split())
        if len(line) > MAX_HEADING_CHARS:
            # A "heading" of a whole page is a styling mistake; as context it would fill every chunk.
            return BlockKind.PARAGRAPH, text, 0
        self.first_heading = self.first_heading or line
        return BlockKind.HEADING, line, level

    def _clean(self, text: str) -> str:
        if self._length + len(text) > self.limits.max_text_chars:
            raise InvalidInput(
                Reason.TEXT_TOO_LARGE,
                f"the extracted text is longer than {self.limits.max_text_chars} characters; split the document",
            )
        if has_suspect_invisibles(text):
            self.flags.add(ZERO_WIDTH_FLAG)
        return clean(text)

    def _append(self, kind: BlockKind, text: str, level: int, language: str = "") -> int:
        """The offset at which the block begins."""
        if len(self._blocks) >= self.limits.max_blocks:
            raise InvalidInput(
                Reason.TOO_MANY_CHUNKS,
                f"the document has more than {self.limits.max_blocks} blocks; split the document",
            )
        start = self._length + (len(_SEPARATOR) if self._parts else 0)
        self._length = start + len(text)
        self._parts.append(text)
        self._blocks.append(Block(kind, start, self._length, level, self.page, language))
        return start


def describes(alternative: str) -> bool:
    """Return whether the alternative text of an image says something: two words or more, and no file name."""
    words = len(_LETTERS.findall(alternative)) > 1 or sum(map(is_wide, alternative)) >= _WIDE_CHARS
    return words and not alternative.lower().endswith(_IMAGE_ENDINGS)


def clean_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that is safe to store: cleaned, single-line, bounded, without empty values."""
    cleaned = {
        one_line(key, 100): one_line(value, MAX_METADATA_CHARS)
        for key, value in list(metadata.items())[:MAX_METADATA_ENTRIES]
    }
    return {key: value for key, value in cleaned.items() if key and value}


# --------------------------------------------------------------------------------------------------------------------
# One way to write a table row, for every format that has tables.


CELL_SEPARATOR: Final = " | "


def row_line(cells: Sequence[str]) -> str:
    """A row as one line; line breaks within cells become spaces, trailing empty cells go."""
    flat = [" ".join(cell.split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    return CELL_SEPARATOR.join(flat)


_NUMBER: Final = re.compile(r"[^\w]{0,3}\d[\d.,:/%\s]{0,20}\W?\w{0,3}")
_SAMPLED_ROWS: Final = 50


def begins_with_data(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row is like those below it, so that it names no columns.

    By its first cell: a number over numbers, or a value that comes again.
    """
    below = [row[0] for row in rows[1 : 1 + _SAMPLED_ROWS] if row and row[0]]
    first = rows[0][0] if rows and rows[0] else ""
    if not first or not below:
        return False
    return first in below or (is_number(first) and 2 * sum(map(is_number, below)) > len(below))


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number, perhaps with a sign, a currency or a unit."""
    return _NUMBER.fullmatch(cell) is not None
