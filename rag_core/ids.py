"""Deterministic identifiers. The same input gives the same id on every machine, so repeating work is harmless."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable

# Never change it: every document of every installation would get a new id.
NAMESPACE = uuid.UUID("5d1f6c0e-7a53-5c0b-9a86-3f1b7b0a4c11")
_SEPARATOR = "\x1f"


def document_id(tenant: str, source: str, locator: str) -> uuid.UUID:
    """Id of the item `locator` of `source` in `tenant`; stable over edits, not over renames."""
    return uuid.uuid5(NAMESPACE, _SEPARATOR.join((tenant, source, locator)))


def chunk_id(doc_id: uuid.UUID, text_hash: bytes, repeat: int) -> uuid.UUID:
    """Id of the `repeat`-th (from 0) occurrence of a text within a document.

    It does not depend on the position, so inserting a paragraph does not change later ids.
    """
    return uuid.uuid5(doc_id, f"{text_hash.hex()}{_SEPARATOR}{repeat}")


def chunk_ids(doc_id: uuid.UUID, text_hashes: Iterable[bytes]) -> list[uuid.UUID]:
    """Ids for the chunks of one document in reading order."""
    seen: Counter[bytes] = Counter()
    ids = []
    for text_hash in text_hashes:
        ids.append(chunk_id(doc_id, text_hash, seen[text_hash]))
        seen[text_hash] += 1
    return ids


def text_hash(text: str) -> bytes:
    """SHA-256 (32 bytes) of the UTF-8 form of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def fingerprint(*parts: object) -> str:
    """Stable hash (32 hex digits) of the inputs and settings that a row was computed from."""
    joined = _SEPARATOR.join(str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def shard_of(doc_id: uuid.UUID, shards: int) -> int:
    """The shard of a document, in `[0, shards)`; uniform because a UUIDv5 is a hash."""
    return doc_id.int % shards
