"""Messages of documents.v1.DocumentService."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf import timestamp_pb2

from query_server.converters.fields import message_of
from query_server.converters.times import time_problem
from query_server.handlers.documents.handler import Delete, Put
from rag_core.errors import InvalidInput, Reason
from ragproto.documents.v1 import documents_pb2 as pb

if TYPE_CHECKING:
    from rag_core.content.documents import VisibleDocument
    from rag_core.content.streams import Receipt


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
    return message_of(pb.PutResponse, receipt, doc_id=str(receipt.doc_id), accepted_at=receipt.received_at)


def from_delete(receipt: Receipt) -> pb.DeleteResponse:
    """The promise as a message."""
    return message_of(pb.DeleteResponse, receipt, doc_id=str(receipt.doc_id), accepted_at=receipt.received_at)


def from_stored(stored: VisibleDocument) -> pb.Document:
    """A document as a message."""
    return message_of(pb.Document, stored, doc_id=str(stored.doc_id))


def _time(message: timestamp_pb2.Timestamp) -> datetime:
    try:
        return message.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(Reason.FIELD_INVALID, f"event_time: {time_problem(message)}") from None
