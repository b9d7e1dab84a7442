"""Build OpenAI's response objects from messages of the platform."""

from __future__ import annotations

from typing import Any

from interfaces.citations import page_word
from interfaces.errors import QUOTA_EXCEEDED, ApiError
from interfaces.refusals import openai_type
from ragproto.documents.v1 import documents_pb2 as docs
from ragproto.query.v2 import query_pb2 as pb

Shape = dict[str, Any]


def error(failure: ApiError) -> Shape:
    """The body of a refusal. `code` is the platform's stable reason code."""
    kind = "insufficient_quota" if failure.reason == QUOTA_EXCEEDED else openai_type(failure.status)
    request = {"request_id": failure.request_id} if failure.request_id else {}
    said = {"message": failure.message, "type": kind, "param": failure.field, "code": failure.reason}
    return {"error": {**said, **request}}


def usage(prompt: int, completion: int) -> Shape:
    """Tokens that a model read and wrote; none when no model was asked."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def page(items: list[Shape], *, more: bool = False) -> Shape:
    """A list."""
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return {"object": "list", "data": items, "has_more": more, **ends}


def model(name: str, answer_model: str = "") -> Shape:
    """A model: who writes the answer."""
    known = {"id": name, "object": "model", "created": 0, "owned_by": "rag-platform"}
    return {**known, "answer_model": answer_model or None}


def vector_store(source: pb.ListSourcesResponse.Source) -> Shape:
    """A source. Its files are the documents that the caller may see."""
    counts = {"completed": source.documents, "total": source.documents, "in_progress": 0, "failed": 0, "cancelled": 0}
    return {
        "id": source.name,
        "object": "vector_store",
        "name": source.name,
        "status": "completed",
        "file_counts": counts,
        "usage_bytes": 0,
        "created_at": 0,
        "metadata": {},
    }


def result(passage: pb.Passage) -> Shape:
    """A passage as a search result. Its text is untrusted data."""
    attributes: Shape = {"source": passage.source, "chunk_id": passage.chunk_id, "title": passage.title}
    return {
        "file_id": passage.doc_id,
        "filename": passage.locator,
        "score": min(1.0, max(0.0, passage.score)),
        # What the platform says last: metadata comes with documents.
        "attributes": {**passage.metadata, **attributes, "page": passage.page, "page_kind": page_word(passage)},
        "content": [{"type": "text", "text": text} for text in _with_context(passage)],
    }


def _with_context(passage: pb.Passage) -> list[str]:
    """The passage, with the text before and behind it when that was asked for, in reading order."""
    around = passage.context
    return [*filter(None, (around.before,)), passage.text, *filter(None, (around.after,))]


def file(document: docs.Document) -> Shape:
    """A stored document as a file."""
    return {
        "id": document.doc_id,
        "object": "file",
        "bytes": document.bytes,
        "created_at": document.updated_at.seconds,
        "filename": document.locator,
        "purpose": "assistants",
        "status": "processed",
    }


def store_file(store: str, file_id: str, status: str, **known: Any) -> Shape:
    """A file of a vector store."""
    return {
        "id": file_id,
        "object": "vector_store.file",
        "created_at": 0,
        "usage_bytes": 0,
        "vector_store_id": store,
        "status": status,
        "last_error": None,
        "attributes": {},
        **known,
    }
