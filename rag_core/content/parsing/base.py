"""The parser interface and the limits every parser keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from rag_core.content.parsing.blocks import Block
from rag_core.content.parsing.links import Link

if TYPE_CHECKING:  # a sandbox process starts for every crash, and needs neither the database nor settings
    from rag_core.content.sources import FetchedItem
    from rag_core.settings import Settings


# --------------------------------------------------------------------------------------------------------------------
# The nouns of the platform as plain immutable values. No behaviour, no I/O.


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as a parser read it: plain text with structure.

    `blocks` and `links` are ordered, disjoint and lie within `text`. `flags` name things worth knowing that did not
    stop the parse (`hidden_text`, `injection_suspect`, `truncated_metadata`, ...).
    """

    text: str
    media_type: str
    title: str = ""
    language: str = ""
    """BCP 47 primary tag guessed from the text (`en`, `zh`), empty when unknown."""
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on what one document costs. Each has its own reason code; docs/reference/document-types.md lists them."""

    max_text_chars: int = 20_000_000
    """Code points of extracted text (`TEXT_TOO_LARGE`)."""
    max_blocks: int = 200_000
    """Structural blocks (`TOO_MANY_CHUNKS`): a document with more could not be chunked under any sane cap."""
    max_nesting: int = 400
    """Depth of HTML elements and of JSON values (`NESTING_TOO_DEEP`)."""
    archive_ratio: int = 100
    """Inflated to stored size, for members and archives above 1 MiB (`ARCHIVE_BOMB`)."""
    archive_bytes: int = 256 * 1024 * 1024
    """Inflated bytes of an archive, nested archives included (`ARCHIVE_BOMB`)."""
    archive_entries: int = 10_000
    """Members of an archive, nested archives included (`ARCHIVE_BOMB`)."""
    archive_depth: int = 3
    """Archives within archives (`ARCHIVE_BOMB`)."""
    pdf_stream_bytes: int = 75_000_000
    """Inflated bytes of one page's content (`PDF_LIMIT`)."""
    pdf_pages: int = 20_000
    """Pages of one PDF (`PDF_LIMIT`)."""
    image_pixels: int = 100_000_000
    """Pixels an image header may claim (`IMAGE_BOMB`)."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(max_text_chars=settings.max_text_chars)

    def astuple(self) -> tuple[int, ...]:
        """The values in declaration order, for fingerprints and the sandbox protocol."""
        return astuple(self)


class Parser(Protocol):
    """Turns the bytes of one item into text with structure. Thread-safe."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same bytes could now give another `ParsedDocument`."""
        ...

    def parse(self, raw: FetchedItem) -> ParsedDocument:
        """Parse one document in bounded time and memory.

        Raises `InvalidInput` with the reason the document cannot be used (`NO_TEXT`, `TYPE_MISMATCH`,
        `ENCRYPTED`, `PARSER_TIMEOUT`, ...). Other documents are never affected.
        """
        ...

    def close(self) -> None:
        """End the sandbox processes. Idempotent; a later `parse` starts them again."""
        ...
