"""Convert payloads between `admin.v1.IndexService` messages and the values of the index interface."""

from __future__ import annotations

import json
import uuid
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Self

from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.errors import DataCorruption, InvalidInput, Reason
from rag_core.retrieval.index import LAZY, Payload, StoredPayload, Structure, structure_from_json, structure_to_json
from ragproto.admin.v1 import index_pb2 as pb

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def id_from_wire(data: bytes) -> uuid.UUID:
    """Decode an id from its 16 bytes."""
    if len(data) != 16:
        raise InvalidInput(Reason.MESSAGE_INVALID, "id: must have 16 bytes")
    return uuid.UUID(bytes=data)


class ReceivedPayload(Payload):
    """The payload of a hit, read from its message when a field is first asked for: of most hits nobody asks.

    What only passes the hit on reads `message`, whose fields have the same names.
    """

    __slots__ = ("message",)
    message: pb.Payload

    @classmethod
    def of(cls, message: pb.Payload) -> Self:
        """Wrap a message that is not changed any more."""
        received = object.__new__(cls)
        object.__setattr__(received, "message", message)
        return received

    def __getattr__(self, name: str) -> object:  # asked only for what is not there yet
        if name in _SENT_AS_THEY_ARE:
            return getattr(self.message, name)
        if name not in _FIELDS:
            raise AttributeError(name)
        read = self._structure() if name in LAZY else self._fields()
        for field, value in read.items():
            object.__setattr__(self, field, value)
        return read[name]

    def _structure(self) -> dict[str, object]:
        """Raises `DataCorruption` (`INDEX_CORRUPT`): the process that owns the index passes it on unread."""
        try:
            structure = structure_from_wire(self.message)
        except InvalidInput as error:
            raise DataCorruption(
                Reason.INDEX_CORRUPT, "a point of the index has a malformed structure; run `rag verify`"
            ) from error
        text, start, end = self.message.text, self.message.start, self.message.end  # read with every block
        return {name: getattr(structure, name) for name in LAZY} | {"text": text, "start": start, "end": end}

    def _fields(self) -> dict[str, object]:
        read = payload_from_wire(self.message, Structure())
        return {field: getattr(read, field) for field in _FIELDS - LAZY}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Payload) and all(getattr(self, one) == getattr(other, one) for one in _FIELDS)

    __hash__ = Payload.__hash__


_FIELDS = frozenset(field.name for field in fields(Payload))
_SENT_AS_THEY_ARE = frozenset({"source", "text"})
"""Fields that are read of every hit of some searches: to count the sources, to mark words."""


def payload_to_wire(payload: Payload) -> pb.Payload:
    """Convert a payload to its message."""
    return pb.Payload(
        tenant=payload.tenant,
        source=payload.source,
        doc_id=payload.doc_id.bytes,
        version=payload.version,
        locator=payload.locator,
        title=payload.title,
        acl=payload.acl,
        ordinal=payload.ordinal,
        start=payload.start,
        end=payload.end,
        text=payload.text,
        headings=payload.headings,
        language=payload.language,
        media_type=payload.media_type,
        updated_at=timestamp(payload.updated_at),
        metadata=payload.metadata,
        structure=_structure_to_wire(payload),
    )


def _structure_to_wire(payload: Payload) -> str:
    stored = getattr(payload, "structure", None) if isinstance(payload, StoredPayload) else None
    if stored is None:  # written, or changed since it was read
        stored = structure_to_json(payload) if payload.blocks else None
    return json.dumps(stored, separators=(",", ":")) if stored else ""


def payload_from_wire(message: pb.Payload, structure: Structure) -> Payload:
    """Convert a message to a payload with this structure."""
    return Payload(
        tenant=message.tenant,
        source=message.source,
        doc_id=id_from_wire(message.doc_id),
        version=message.version,
        locator=message.locator,
        title=message.title,
        acl=tuple(message.acl),
        ordinal=message.ordinal,
        start=message.start,
        end=message.end,
        text=message.text,
        headings=tuple(message.headings),
        language=message.language,
        media_type=message.media_type,
        updated_at=_moment(message.updated_at),
        metadata=dict(message.metadata),
        blocks=structure.blocks,
        page=structure.page,
        links=structure.links,
    )


def structure_from_wire(message: pb.Payload) -> Structure:
    """Read the structure of a payload's message."""
    if not message.structure:
        return Structure()
    try:
        return structure_from_json(json.loads(message.structure), message.start, message.headings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(Reason.MESSAGE_INVALID, "structure: is not what a payload has") from error


def timestamp(moment: datetime) -> Timestamp:
    """A moment with its time zone as a message. Exact for microseconds, and a fourth of the library's time."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def _moment(message: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
