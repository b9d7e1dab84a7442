"""The calls of the API as values: sync and async client send the same ones."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rag_platform_client import types


@dataclass(frozen=True)
class Call:
    """One request. Each may be sent twice: what writes carries an idempotency key."""

    method: str
    path: str
    body: Any = None
    params: Mapping[str, str] = field(default_factory=dict)


def search(query: str, **options: Any) -> Call:
    """Find passages."""
    return Call("POST", "/api/v2/search", {"query": query, **_given(options)})


def batch_search(searches: Sequence[types.SearchRequest]) -> Call:
    """Several searches."""
    return Call("POST", "/api/v2/search/batch", {"searches": list(searches)})


def answer(question: str, **options: Any) -> Call:
    """Answer a question, as a stream."""
    return Call("POST", "/api/v2/answer", {"query": question, **_given(options)})


def feedback(question: str, text: str, helpful: bool, comment: str) -> Call:
    """Say whether an answer helped."""
    body = {"question": question, "answer": text, "helpful": helpful, "comment": comment}
    return Call("POST", "/api/v2/feedback", body)


def sources(page_size: int | None, page_token: str) -> Call:
    """A page of sources."""
    return Call("GET", "/api/v2/sources", params=_params(page_size=page_size, page_token=page_token))


def answerers(page_token: str) -> Call:
    """Who can write answers, a page of them."""
    return Call("GET", "/api/v2/answerers", params=_params(page_token=page_token))


def usage(days: int | None) -> Call:
    """What was used, and what may be used."""
    return Call("GET", "/api/v2/usage", params=_params(days=days))


def put_document(content: str | bytes, **options: Any) -> Call:
    """Push a document."""
    given = _given(options)
    given.setdefault("idempotency_key", uuid.uuid4().hex)
    if (acl := given.pop("acl", None)) is not None:
        given["acl"] = {"entries": list(acl)}
    if isinstance(content, bytes):
        return Call("POST", "/api/v1/documents", {"data": base64.b64encode(content).decode(), **given})
    return Call("POST", "/api/v1/documents", {"text": content, **given})


def get_document(doc_id: str, include_text: bool) -> Call:
    """Describe a document."""
    return Call("GET", f"/api/v1/documents/{quote(doc_id, safe='')}", params=_params(include_text=include_text))


def delete_document(doc_id: str) -> Call:
    """Delete a pushed document."""
    params = {"idempotency_key": uuid.uuid4().hex}
    return Call("DELETE", f"/api/v1/documents/{quote(doc_id, safe='')}", params=params)


def documents(source: str, page_size: int | None, page_token: str) -> Call:
    """A page of documents."""
    params = _params(source=source, page_size=page_size, page_token=page_token)
    return Call("GET", "/api/v1/documents", params=params)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _params(**options: Any) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if value not in (None, "")
    }
