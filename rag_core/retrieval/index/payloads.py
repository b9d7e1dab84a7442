"""Payloads of points as the engines store them, and the samples of points that term statistics are taken from."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

from rag_core.content.parsing import Block, Link, from_rows, links_from_rows, links_to_rows, to_rows
from rag_core.errors import DataCorruption, Reason
from rag_core.retrieval.index.base import IndexPoint, Payload

# --------------------------------------------------------------------------------------------------------------------
# Samples for term statistics. They come only from points that the caller may see, so that scores reveal nothing about
# texts that are hidden from the caller. The engine reads every such point for each search (80 ns each on Edge, several
# hundred when few of many are taken), which a caller who sees a million would wait for. BM25 uses the logarithm of a
# word's share, and a share is known as well from some thousand points chosen by chance: a word in one of a thousand is
# found in 4 of 4,000 give or take 2, which moves its weight by a fifteenth, and rarer words weigh about the same as
# each other. So each point carries the samples that it belongs to: of every 2, 4, 8, … points one. Which ones is
# decided by its id, a hash, and never changes. A caller who sees few points is given exact statistics.

IDF_SAMPLES = "samples"
"""Keyword field with the samples that a point is part of, named by how many points there are for one of theirs."""

SAMPLE_SHARES = tuple(2**power for power in range(1, 11))


def idf_sample(chunk_id: uuid.UUID) -> list[str]:
    """The samples that a point is part of, none for every other point."""
    number = int.from_bytes(chunk_id.bytes[:4])
    return [str(share) for share in SAMPLE_SHARES if number % share == 0]


# --------------------------------------------------------------------------------------------------------------------
# Payloads as the engines store them: JSON objects, the same for Edge and for a Qdrant server.


_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
TOTAL = "total"
"""Points of this version of the document; shows whether a version is complete or still being written."""
IDENTITY = ["doc_id", "version", TOTAL]
"""The fields that version rules need."""

NUMBERS = "numbers"
"""Metadata values that are numbers, as numbers, for range filters."""

STRUCTURE = "structure"
"""The blocks and links: `{"format": 2, "blocks": rows, "links": rows}`. Absent in points from before it was kept.

A format that is not known here is not read: its points are passages without structure. Format 1 has fewer kinds.
"""
_FORMAT = 2
_READABLE = frozenset({1, _FORMAT})

KEYWORDS = ("source", "locator", "title", "language", "media_type")
"""Keyword fields with a payload index, beside tenant, doc_id and acl."""


def to_json(point: IndexPoint, total: int) -> dict[str, Any]:
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
        **({STRUCTURE: structure_to_json(payload)} if payload.blocks else {}),
        **({NUMBERS: numbers} if numbers else {}),
        **({IDF_SAMPLES: chosen} if (chosen := idf_sample(point.chunk_id)) else {}),
    }


def structure_to_json(payload: Payload) -> dict[str, Any]:
    """Convert blocks and links of a payload, relative to its text."""
    links = {"links": links_to_rows(payload.links, payload.start)} if payload.links else {}
    return {"format": _FORMAT, "blocks": to_rows(payload.blocks, payload.start, payload.headings), **links}


class Structure(NamedTuple):
    """The structure of a chunk, in the document's offsets."""

    blocks: tuple[Block, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def page(self) -> int:
        """Page of the first block, 0 where the format has none."""
        return self.blocks[0].page if self.blocks else 0


def structure_from_json(stored: Mapping[str, Any], start: int, headings: Sequence[str]) -> Structure:
    """Read what `structure_to_json` writes. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    if stored["format"] not in _READABLE:
        return Structure()
    links = stored.get("links")
    return Structure(from_rows(stored["blocks"], start, headings), links_from_rows(links, start) if links else ())


def _structure(stored: Mapping[str, Any]) -> Structure:
    if STRUCTURE not in stored:
        return Structure()
    return structure_from_json(stored[STRUCTURE], int(stored["start"]), _texts(stored["headings"]))


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
        return _payload(Payload, stored, _structure(stored))
    except _MALFORMED as error:
        raise _corruption(error) from error


def hit_payload(stored: Mapping[str, Any]) -> Payload:
    """As `from_json`, but the structure stays as it is stored until somebody reads it: most hits only pass through."""
    try:
        if STRUCTURE not in stored:
            return _payload(Payload, stored, Structure())
        structure = stored[STRUCTURE]
        if not isinstance(structure, dict) or structure.get("format") not in _READABLE or not structure.get("blocks"):
            return _payload(Payload, stored, _structure(stored))
        payload = _payload(StoredPayload, stored, Structure())
        object.__setattr__(payload, "structure", structure)
        # Unset fields, which are read from the structure when they are asked for.
        for name in LAZY:
            object.__delattr__(payload, name)
    except _MALFORMED as error:
        raise _corruption(error) from error
    return payload


LAZY = frozenset({"blocks", "page", "links"})
"""Fields of a hit that are read from its structure when they are asked for."""


class StoredPayload(Payload):
    """The payload of a hit with its stored structure; what only passes the hit on reads `structure`."""

    __slots__ = ("structure",)
    structure: Mapping[str, Any]

    def __getattr__(self, name: str) -> object:  # asked only for what is not there yet
        if name not in LAZY:
            raise AttributeError(name)
        try:
            structure = structure_from_json(self.structure, self.start, self.headings)
        except _MALFORMED as error:
            raise _corruption(error) from error
        for field in LAZY:
            object.__setattr__(self, field, getattr(structure, field))
        return getattr(structure, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Payload) and all(getattr(self, one) == getattr(other, one) for one in _FIELDS)

    __hash__ = Payload.__hash__


_FIELDS = [field.name for field in fields(Payload)]
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError)


def _corruption(error: Exception) -> DataCorruption:
    name = type(error).__name__
    return DataCorruption(
        Reason.INDEX_CORRUPT, f"a point of the index has a malformed payload ({name}); run `rag verify`"
    )


def _payload(kind: type[Payload], stored: Mapping[str, Any], structure: Structure) -> Payload:
    tenant, source, locator, title, text, language, media_type = _texts(_TEXTS(stored))
    metadata = stored["metadata"]
    return kind(
        tenant=tenant,
        source=source,
        doc_id=uuid.UUID(stored["doc_id"]),
        version=int(stored["version"]),
        locator=locator,
        title=title,
        acl=_texts(stored["acl"]),
        ordinal=int(stored["ordinal"]),
        start=int(stored["start"]),
        end=int(stored["end"]),
        text=text,
        headings=_texts(stored["headings"]),
        language=language,
        media_type=media_type,
        updated_at=datetime.fromisoformat(stored["updated_at"]),
        metadata=dict(zip(_texts(metadata), _texts(metadata.values()), strict=True)),
        blocks=structure.blocks,
        page=structure.page,
        links=structure.links,
    )


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


_TEXTS = itemgetter("tenant", "source", "locator", "title", "text", "language", "media_type")
_ONLY_TEXT = frozenset({str})


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    found = tuple(values)
    if not _ONLY_TEXT.issuperset(map(type, found)):
        raise TypeError("text expected")
    return found
