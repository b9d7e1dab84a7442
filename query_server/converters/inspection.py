"""Messages of admin.v1.OperationsService about documents."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from query_server.converters.fields import message_of, to_moment
from query_server.converters.operations import from_entry
from query_server.handlers.admin.documents import MAX_SHOWN_TEXT_CHARS, Inspection, MatchingDocuments
from rag_core.content import documents
from rag_core.errors import InvalidInput, Reason
from ragproto.admin.v1 import operations_pb2 as pb

if TYPE_CHECKING:
    from rag_core.content.documents import ChunkSpan, DocumentEvent, DocumentQuery, DocumentSummary

_STATE, _ORDER = "DOCUMENT_STATE_", "DOCUMENT_ORDER_"


def to_doc_id(value: str) -> uuid.UUID:
    """Raises `InvalidInput` (`FIELD_INVALID`)."""
    try:
        return uuid.UUID(value)
    except ValueError:
        raise InvalidInput(Reason.FIELD_INVALID, "doc_id: must be a UUID") from None


def to_wanted(request: pb.FindDocumentsRequest) -> DocumentQuery:
    """The filter and order of a list. Raises `InvalidInput` (`FIELD_INVALID`)."""
    state = documents.DocumentState[_known(pb.DocumentState, request.state, _STATE)] if request.state else None
    order = (
        documents.DocumentOrder[_known(pb.DocumentOrder, request.order, _ORDER)]
        if request.order
        else documents.DocumentOrder.NEWEST
    )
    return documents.DocumentQuery(
        text=request.text.strip(),
        source=request.source,
        state=state,
        media_type=request.media_type,
        changed_from=to_moment(request, "changed_from"),
        changed_before=to_moment(request, "changed_before"),
        order=order,
        exclude_deleted=request.exclude_deleted,
        held_for_deletion=request.held_for_deletion,
    )


def from_page(found: MatchingDocuments) -> pb.FindDocumentsResponse:
    """A page of documents."""
    counts = found.counts
    return pb.FindDocumentsResponse(
        documents=map(from_summary, found.documents),
        next_page_token=found.next_token,
        counts=pb.DocumentCounts(
            documents=counts.documents,
            more=counts.more,
            media_types=[pb.MediaTypeCount(media_type=name, documents=n) for name, n in counts.media_types.items()],
        )
        if counts is not None
        else None,
    )


def from_summary(found: DocumentSummary) -> pb.DocumentRow:
    """A document in a list."""
    return message_of(pb.DocumentRow, found, doc_id=str(found.doc_id), state=f"{_STATE}{found.state.name}")


def from_inspection(inspection: Inspection) -> pb.InspectDocumentResponse:
    """A document with its chunks and its history."""
    document, text = inspection.document, inspection.text or ""
    return message_of(
        pb.InspectDocumentResponse,
        document,
        document=from_summary(document.found),
        media_type=document.found.media_type,
        bytes=document.found.bytes,
        text=text[:MAX_SHOWN_TEXT_CHARS],
        text_truncated=len(text) > MAX_SHOWN_TEXT_CHARS,
        text_withheld=inspection.text is None,
        chunks=map(_chunk, document.spans),
        generations=[message_of(pb.GenerationVersion, item) for item in document.held],
        quarantine=from_entry(inspection.quarantine) if inspection.quarantine else None,
        first_stored_at=document.created_at,
        history=map(_event, inspection.history),
        cited=document.citations.count,
    )


def _known(enum: type[pb.DocumentState] | type[pb.DocumentOrder], number: int, prefix: str) -> str:
    """The name of a value without the prefix of its enum."""
    if number not in enum.values():
        raise InvalidInput(Reason.FIELD_INVALID, f"{prefix.split('_')[1].lower()}: has no value {number}")
    return enum.Name(number).removeprefix(prefix)


def _event(event: DocumentEvent) -> pb.DocumentEvent:
    return message_of(pb.DocumentEvent, event, kind=f"DOCUMENT_EVENT_KIND_{event.kind.name}")


def _chunk(span: ChunkSpan) -> pb.ChunkSpan:
    return message_of(pb.ChunkSpan, span, chunk_id=str(span.chunk_id))
