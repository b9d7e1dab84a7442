"""Messages of documents.v1.DocumentService."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf import timestamp_pb2

from query_server.converters.times import time_problem
from query_server.handlers.documents.handler import Delete, Put
from rag_core.errors import InvalidInput, Reason
from ragproto.documents.v1 import documents_pb2 as pb

if TYPE_CHECKING:
    from rag_core.documents import VisibleDocument
    from rag_core.streams import Receipt


def to_put(request: pb.PutRequest) -> Put:
    """The document of a message. Raises `InvalidInput` (`FIELD_INVALID`) for a time that is none."""
    kind = request.WhichOneof("content")
    content = request.text.encode() if kind == "text" else request.data if kind == "data" else None
    return Put(
        content=content,
        doc_id=request.doc_id,
        source=request.source,
        locator=request.locator,
        media_type=request.media_type,
        title=request.title,
        acl=tuple(request.acl.entries) if request.HasField("acl") else None,
        metadata=tuple(request.metadata.items()),
        source_version=request.source_version if request.HasField("source_version") else None,
        idempotency_key=request.idempotency_key,
        event_time=_time(request.event_time) if request.HasField("event_time") else None,
    )


def to_delete(request: pb.DeleteRequest) -> Delete:
    """The deletion of a message. Raises as `to_put`."""
    return Delete(
        doc_id=request.doc_id,
        source=request.source,
        locator=request.locator,
        source_version=request.source_version if request.HasField("source_version") else None,
        idempotency_key=request.idempotency_key,
        event_time=_time(request.event_time) if request.HasField("event_time") else None,
    )


def from_put(receipt: Receipt) -> pb.PutResponse:
    """The promise as a message."""
    message = pb.PutResponse(
        doc_id=str(receipt.doc_id),
        source_version=receipt.source_version,
        sequence=receipt.sequence,
        repeated=receipt.repeated,
    )
    message.accepted_at.FromDatetime(receipt.received_at)
    return message


def from_delete(receipt: Receipt) -> pb.DeleteResponse:
    """The promise as a message."""
    message = pb.DeleteResponse(
        doc_id=str(receipt.doc_id),
        source_version=receipt.source_version,
        sequence=receipt.sequence,
        repeated=receipt.repeated,
    )
    message.accepted_at.FromDatetime(receipt.received_at)
    return message


def from_stored(stored: VisibleDocument) -> pb.Document:
    """A document as a message."""
    message = pb.Document(
        doc_id=str(stored.doc_id),
        source=stored.source,
        locator=stored.locator,
        title=stored.title,
        media_type=stored.media_type,
        language=stored.language,
        version=stored.version,
        source_version=stored.source_version,
        bytes=stored.bytes,
        metadata=stored.metadata,
        searchable=stored.searchable,
        pending=stored.pending,
    )
    message.updated_at.FromDatetime(stored.updated_at)
    return message


def _time(message: timestamp_pb2.Timestamp) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(Reason.FIELD_INVALID, f"event_time: {time_problem(message)}") from None
