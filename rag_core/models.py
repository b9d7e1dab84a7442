"""The nouns of the platform as plain immutable values. No behaviour, no I/O.

Offsets are in Unicode code points into `ParsedDocument.text` (what Python's slicing uses), end exclusive.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

EVERYONE = "everyone"
"""The ACL entry that admits every principal of the document's own tenant."""


class BlockKind(StrEnum):
    """Structural role of a span of a document."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Block:
    """One structural span: `text[start:end]`. `level` is 1..6 for headings, else 0."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a parser makes of bytes: plain text with structure.

    `blocks` are ordered, disjoint and lie within `text`. `flags` name things worth knowing that did not stop
    the parse (`hidden_text`, `injection_suspect`, `truncated_metadata`, ...).
    """

    text: str
    media_type: str
    title: str = ""
    language: str = ""
    """BCP 47 primary tag guessed from the text (`en`, `zh`), empty when unknown."""
    blocks: tuple[Block, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()


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


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One entry of a source's listing.

    `token` changes whenever the content may have changed (size and mtime, an ETag, a row version); equal tokens mean
    the content need not be read.
    """

    locator: str
    token: str
    size: int | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchedItem:
    """The bytes of one item, with what the source says about it. `acl=None` means the source did not say."""

    item: SourceItem
    content: bytes
    media_type: str | None = None
    title: str | None = None
    acl: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. Built only by token verification; nothing in a request can widen it."""

    subject: str
    tenant: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """The one name of this person or key in the audit log, whichever way they came."""
        return f"{self.tenant}/{self.subject}"

    @property
    def acl_entries(self) -> tuple[str, ...]:
        """The ACL entries this caller matches, any of which opens a document."""
        return (EVERYONE, f"user:{self.subject}", *(f"group:{group}" for group in self.groups))
