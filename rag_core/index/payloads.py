"""Payloads as the engines store them: JSON objects, the same for Edge and for a Qdrant server."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rag_core.errors import DataCorruption, Reason
from rag_core.index.base import Payload, Point
from rag_core.index.statistics import SAMPLES, samples

_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
TOTAL = "total"
"""Points of this version of the document; tells a version that is still being written from a complete one."""
IDENTITY = ["doc_id", "version", TOTAL]
"""The fields that version rules need."""

NUMBERS = "numbers"
"""Metadata values that are numbers, as numbers, for range filters."""

KEYWORDS = ("source", "locator", "title", "language", "media_type")
"""Keyword fields with a payload index, beside tenant, doc_id and acl."""


def to_json(point: Point, total: int) -> dict[str, Any]:
    """The stored form of a payload. Times become UTC with microseconds, ids strings."""
    payload = point.payload
    numbers = _numbers(payload.metadata)
    return {
        "tenant": payload.tenant,
        "source": payload.source,
        "doc_id": str(payload.doc_id),
        "version": payload.version,
        TOTAL: total,
        "locator": payload.locator,
        "title": payload.title,
        "acl": list(payload.acl),
        "ordinal": payload.ordinal,
        "start": payload.start,
        "end": payload.end,
        "text": payload.text,
        "headings": list(payload.headings),
        "language": payload.language,
        "media_type": payload.media_type,
        "updated_at": time_text(payload.updated_at),
        "metadata": dict(payload.metadata),
        **({NUMBERS: numbers} if numbers else {}),
        **({SAMPLES: chosen} if (chosen := samples(point.chunk_id)) else {}),
    }


def _numbers(metadata: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, value in metadata.items():
        if _NUMBER.fullmatch(value.strip()) and math.isfinite(number := float(value)):
            found[name] = number
    return found


def from_json(stored: Mapping[str, Any] | None) -> Payload:
    """Raises `DataCorruption` (`INDEX_CORRUPT`) when the stored form is not what `to_json` writes."""
    try:
        if stored is None:
            raise KeyError("payload")
        return Payload(
            tenant=_text(stored["tenant"]),
            source=_text(stored["source"]),
            doc_id=uuid.UUID(stored["doc_id"]),
            version=int(stored["version"]),
            locator=_text(stored["locator"]),
            title=_text(stored["title"]),
            acl=tuple(map(_text, stored["acl"])),
            ordinal=int(stored["ordinal"]),
            start=int(stored["start"]),
            end=int(stored["end"]),
            text=_text(stored["text"]),
            headings=tuple(map(_text, stored["headings"])),
            language=_text(stored["language"]),
            media_type=_text(stored["media_type"]),
            updated_at=datetime.fromisoformat(stored["updated_at"]),
            metadata={_text(key): _text(value) for key, value in stored["metadata"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataCorruption(
            Reason.INDEX_CORRUPT,
            f"a point of the index has a malformed payload ({type(error).__name__}); run `rag verify`",
        ) from error


def from_json_or_blank(stored: Mapping[str, Any] | None) -> Payload:
    """As `from_json`, but what cannot be read comes out blank: a scroll must show `rag verify` every point there is."""
    try:
        return from_json(stored)
    except DataCorruption:
        return _BLANK


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, the form both engines parse."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


_BLANK = Payload(
    tenant="",
    source="",
    doc_id=uuid.UUID(int=0),
    version=0,
    locator="",
    title="",
    acl=(),
    ordinal=0,
    start=0,
    end=0,
    text="",
    headings=(),
    language="",
    media_type="",
    updated_at=datetime.min.replace(tzinfo=UTC),
)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value
