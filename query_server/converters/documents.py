"""Messages of documents.v1.DocumentService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.fields import message_of, to_moment
from query_server.handlers.documents.access import AccessEntry, Explanation
from query_server.handlers.documents.handler import Delete, Put
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.query.v2 import query_pb2 as v2

if TYPE_CHECKING:
    from query_server.handlers.documents.pages import PagePicture
    from rag_core.content.documents import VisibleDocument
    from rag_core.content.streams import Receipt

IMAGE_TYPE = "image/jpeg"


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
        event_time=to_moment(request, "event_time"),
    )


def to_delete(request: pb.DeleteRequest) -> Delete:
    """The deletion of a message. Raises as `to_put`."""
    return Delete(
        doc_id=request.doc_id,
        source=request.source,
        locator=request.locator,
        source_version=request.source_version if request.HasField("source_version") else None,
        idempotency_key=request.idempotency_key,
        event_time=to_moment(request, "event_time"),
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


def from_explanation(explained: Explanation) -> pb.ExplainAccessResponse:
    """Convert the explanation of why a person finds a document or not."""
    return pb.ExplainAccessResponse(
        allowed=explained.allowed,
        checks=[
            message_of(pb.AccessCheck, check, kind=pb.AccessCheckKind.Value(f"ACCESS_CHECK_KIND_{check.kind.upper()}"))
            for check in explained.checks
        ],
        entries=map(_access_entry, explained.entries),
        acl=map(_access_entry, explained.acl),
    )


def _access_entry(entry: AccessEntry) -> pb.AccessEntry:
    return message_of(pb.AccessEntry, entry, origin=pb.AccessOrigin.Value(f"ACCESS_ORIGIN_{entry.origin.upper()}"))


def from_page_image(found: PagePicture, page: int) -> v2.GetPageResponse:
    """Convert a picture of a page."""
    image = found.image
    return v2.GetPageResponse(
        image=image.content,
        media_type=IMAGE_TYPE,
        width=image.width,
        height=image.height,
        page=page,
        pages=image.pages,
        version=found.version,
        marks=[
            v2.GetPageResponse.Mark(left=mark.left, top=mark.top, right=mark.right, bottom=mark.bottom)
            for mark in image.marks
        ],
    )
