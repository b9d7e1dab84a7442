"""Checks on a pushed document before anything is stored."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from query_server.handlers.query.validation import check_storable
from rag_core.content import streams
from rag_core.content.documents import RESERVED_FIELDS
from rag_core.errors import InvalidInput, Reason
from rag_core.governance.access import is_acl_entry

DEFAULT_SOURCE: Final = "push"
MAX_LOCATOR_CHARS: Final = 1024
MAX_TITLE_CHARS: Final = 512
MAX_METADATA: Final = 32
MAX_METADATA_CHARS: Final = 1024
MAX_ACL_ENTRIES: Final = 256
MAX_KEY_CHARS: Final = 128
MAX_OBJECTS: Final = 1000
MAX_OBJECT_KEY_CHARS: Final = 1024
MAX_VERSION: Final = 2**62
RESERVED_METADATA: Final = RESERVED_FIELDS | {"source", "doc_id", "source_version", "updated_at"}

_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_METADATA_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(;[^\x00-\x1f\x7f]{0,200})?")


def check_source(source: str) -> str:
    """The source to push into. Raises `InvalidInput` (`ID_CHARS`)."""
    name = source or DEFAULT_SOURCE
    if not _SOURCE.fullmatch(name):
        raise InvalidInput(Reason.ID_CHARS, "source: up to 63 lower-case letters, digits, - and _, a letter first")
    return name


def check_locator(locator: str) -> str:
    """Raises `InvalidInput` (`FIELD_INVALID`, `ID_CHARS`, `TEXT_INVALID`)."""
    if not locator.strip():
        raise InvalidInput(Reason.FIELD_INVALID, "locator: name the document")
    if len(locator) > MAX_LOCATOR_CHARS:
        raise InvalidInput(Reason.FIELD_INVALID, f"locator: {len(locator)} > {MAX_LOCATOR_CHARS} characters")
    _check_id(locator, "locator")
    return locator


def check_doc_id(value: str) -> uuid.UUID:
    """Raises `InvalidInput` (`ID_CHARS`) for what is no UUID in its usual form."""
    try:
        doc_id = uuid.UUID(value)
    except ValueError:
        doc_id = None
    if doc_id is None or str(doc_id) != value.lower():
        raise InvalidInput(Reason.ID_CHARS, "doc_id: a UUID such as 6ba7b810-9dad-51d1-80b4-00c04fd430c8")
    return doc_id


def check_content(content: bytes | None, *, limit: int) -> bytes:
    """Raises `InvalidInput`: `FIELD_INVALID` without content, `DOCUMENT_TOO_LARGE`."""
    if content is None:
        raise InvalidInput(Reason.FIELD_INVALID, "content: give text or data")
    if len(content) > limit:
        raise InvalidInput(Reason.DOCUMENT_TOO_LARGE, f"content: {len(content)} > {limit} bytes")
    return content


def check_title(title: str) -> str | None:
    """Raises `InvalidInput` (`FIELD_INVALID`, `TEXT_INVALID`)."""
    if len(title) > MAX_TITLE_CHARS:
        raise InvalidInput(Reason.FIELD_INVALID, f"title: {len(title)} > {MAX_TITLE_CHARS} characters")
    check_storable(title, "title")
    return title or None


def check_media_type(value: str) -> str | None:
    """Raises `InvalidInput` (`FIELD_INVALID`)."""
    if value and not _MEDIA_TYPE.fullmatch(value):
        raise InvalidInput(Reason.FIELD_INVALID, "media_type: a type such as text/markdown")
    return value or None


def check_acl(entries: Sequence[str] | None) -> tuple[str, ...] | None:
    """Raises `InvalidInput` (`FIELD_INVALID`); an empty list is refused, because it says neither yes nor no."""
    if entries is None:
        return None
    if not 1 <= len(entries) <= MAX_ACL_ENTRIES:
        raise InvalidInput(Reason.FIELD_INVALID, f"acl: 1 to {MAX_ACL_ENTRIES} entries, or leave it out to keep it")
    for entry in entries:
        if not is_acl_entry(entry):
            raise InvalidInput(
                Reason.FIELD_INVALID, "acl: entries are everyone, user:<subject> or group:<name>, or deny: before one"
            )
    return tuple(dict.fromkeys(entries))


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Raises `InvalidInput`: `RESERVED_FIELD` for a name that only the platform sets, `FIELD_INVALID`."""
    if len(metadata) > MAX_METADATA:
        raise InvalidInput(Reason.FIELD_INVALID, f"metadata: {len(metadata)} > {MAX_METADATA} entries")
    for name, value in metadata.items():
        if name in RESERVED_METADATA:
            raise InvalidInput(Reason.RESERVED_FIELD, f"metadata: {name} is set by the platform")
        if not _METADATA_KEY.fullmatch(name):
            raise InvalidInput(Reason.FIELD_INVALID, "metadata: names are lower-case letters, digits and _")
        if len(value) > MAX_METADATA_CHARS:
            raise InvalidInput(Reason.FIELD_INVALID, f"metadata.{name}: {len(value)} > {MAX_METADATA_CHARS} characters")
        check_storable(value, f"metadata.{name}")
    return dict(metadata)


def check_version(value: int | None) -> int | None:
    """Raises `InvalidInput` (`FIELD_INVALID`)."""
    if value is not None and not 1 <= value <= MAX_VERSION:
        raise InvalidInput(Reason.FIELD_INVALID, f"source_version: 1..{MAX_VERSION}")
    return value


def check_key(value: str) -> str | None:
    """Raises `InvalidInput` (`FIELD_INVALID`, `ID_CHARS`)."""
    if len(value) > MAX_KEY_CHARS:
        raise InvalidInput(Reason.FIELD_INVALID, f"idempotency_key: {len(value)} > {MAX_KEY_CHARS} characters")
    _check_id(value, "idempotency_key")
    return value or None


def check_objects(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Bucket and key of what an event notification names. Raises `InvalidInput` (`VALUE_INVALID`, `FIELD_INVALID`)."""
    named = streams.read_event(event)
    if len(named) > MAX_OBJECTS:
        raise InvalidInput(Reason.FIELD_INVALID, f"event: names {len(named)} > {MAX_OBJECTS} objects")
    if any(len(key) > MAX_OBJECT_KEY_CHARS for pair in named for key in pair):
        raise InvalidInput(Reason.FIELD_INVALID, f"event: a key has more than {MAX_OBJECT_KEY_CHARS} characters")
    return named


def _check_id(value: str, field: str) -> None:
    check_storable(value, field)
    if any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in value):
        raise InvalidInput(Reason.ID_CHARS, f"{field}: control and invisible characters are not allowed")
