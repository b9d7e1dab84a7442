"""`/v1/vector_stores` and `/v1/files`: sources are vector stores, documents are files."""

from __future__ import annotations

import re
import uuid
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse

from interfaces.errors import ApiError, invalid
from interfaces.filters import within
from interfaces.openai import shapes
from interfaces.openai.requests import SOURCE_NAME, Attach, Attribute, StoreSearch, read
from interfaces.openai.uploads import PREFIX, Upload, Uploads
from interfaces.platform import Caller
from ragproto.documents.v1 import documents_pb2 as docs
from ragproto.query.v2 import query_pb2 as pb

PURPOSES = frozenset({"assistants", "user_data"})
STORED_SECONDS = 120.0
"""A pushed file that is not seen after this time was rejected, or is not for its caller's eyes."""


async def list_stores(request: Request, caller: Caller) -> JSONResponse:
    """`GET /v1/vector_stores`."""
    limit, after = _limit(request), request.query_params.get("after", "")
    found = [one for one in await caller.sources() if one.name > after]
    return JSONResponse(shapes.page([shapes.vector_store(one) for one in found[:limit]], more=len(found) > limit))


async def get_store(request: Request, caller: Caller) -> JSONResponse:
    """`GET /v1/vector_stores/{id}`."""
    name = request.path_params["store"]
    for one in await caller.sources():
        if one.name == name:
            return JSONResponse(shapes.vector_store(one))
    raise ApiError(404, "SOURCE_NOT_FOUND", "vector store: no such source")


async def search(request: Request, caller: Caller) -> JSONResponse:
    """`POST /v1/vector_stores/{id}/search`."""
    wanted = await read(request, StoreSearch)
    ranking = wanted.ranking_options
    options: dict[str, Any] = {"rerank": False} if ranking and ranking.ranker == "none" else {}
    if wanted.context is not None:
        options["context"] = pb.ContextOptions(**wanted.context.model_dump())
    found = await caller.search(
        pb.SearchRequest(
            query=wanted.text,
            top_k=wanted.max_num_results,
            filter=within([request.path_params["store"]], wanted.filters),
            page_token=wanted.page,
            **options,
        )
    )
    least = (ranking and ranking.score_threshold) or 0.0
    results = [one for one in map(shapes.result, found.passages) if one["score"] >= least]
    return JSONResponse(
        {
            "object": "vector_store.search_results.page",
            "search_query": [wanted.query] if isinstance(wanted.query, str) else wanted.query,
            "data": results,
            "has_more": bool(found.next_page_token),
            "next_page": found.next_page_token or None,
        }
    )


async def upload(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`POST /v1/files`: keep a file until it is attached."""
    tenant = await request.app.state.tenants.of(caller.credentials)
    async with request.form(max_files=1, max_fields=20) as form:
        sent, purpose = form.get("file"), form.get("purpose")
        if not isinstance(sent, UploadFile) or not sent.filename:
            raise invalid("file", "send a file with a name")
        if purpose not in PURPOSES:
            raise invalid("purpose", f"must be {' or '.join(sorted(PURPOSES))}")
        uploaded = uploads.add(caller.credentials, tenant, sent.filename, await sent.read(), str(purpose))
    return JSONResponse(_waiting(uploaded))


async def get_file(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`GET /v1/files/{id}`: a file that waits, or a stored document."""
    file_id = request.path_params["file"]
    if file_id.startswith(PREFIX):
        return JSONResponse(_waiting(uploads.get(caller.credentials, file_id)))
    return JSONResponse(shapes.file((await caller.document(_doc_id(file_id))).document))


async def delete_file(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`DELETE /v1/files/{id}`: forget a file that waits, or delete a pushed document."""
    file_id = request.path_params["file"]
    if file_id.startswith(PREFIX):
        uploads.remove(caller.credentials, file_id)
    else:
        await caller.delete(_doc_id(file_id))
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


async def attach(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`POST /v1/vector_stores/{id}/files`: push an uploaded file into a source."""
    wanted, store = await read(request, Attach), _source(request)
    uploaded = uploads.get(caller.credentials, wanted.file_id)
    acl = request.app.state.settings.file_acl
    receipt = await caller.put(_put(uploaded, store, dict(wanted.attributes or {}), acl))
    uploaded.places[store] = (receipt.doc_id, uploads.now())
    known = {
        "created_at": int(uploaded.created),
        "usage_bytes": len(uploaded.content),
        "attributes": wanted.attributes or {},
    }
    return JSONResponse(shapes.store_file(store, uploaded.id, "in_progress", doc_id=receipt.doc_id, **known))


async def get_store_file(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`GET /v1/vector_stores/{id}/files/{file}`: whether searches see it."""
    store, file_id = _source(request), request.path_params["file"]
    pushed: float | None = None
    doc_id = file_id
    if file_id.startswith(PREFIX):
        doc_id, pushed = _place(uploads.get(caller.credentials, file_id), store)
    try:
        found = (await caller.document(_doc_id(doc_id))).document
    except ApiError as error:
        if pushed is None or error.reason != "DOCUMENT_NOT_FOUND":
            raise
        return JSONResponse(_unseen(store, file_id, doc_id, uploads.now() - pushed))
    if found.source != store:
        raise _not_attached()
    status = "completed" if found.searchable and not found.pending else "in_progress"
    known = {"created_at": found.updated_at.seconds, "usage_bytes": found.bytes, "attributes": dict(found.metadata)}
    return JSONResponse(shapes.store_file(store, file_id, status, doc_id=doc_id, **known))


async def detach(request: Request, caller: Caller, uploads: Uploads) -> JSONResponse:
    """`DELETE /v1/vector_stores/{id}/files/{file}`: delete the pushed document."""
    store, file_id = _source(request), request.path_params["file"]
    if file_id.startswith(PREFIX):
        # Known from when it was attached: until the push is applied nobody finds the document.
        uploaded = uploads.get(caller.credentials, file_id)
        await caller.delete(_place(uploaded, store)[0])
        uploaded.places.pop(store, None)
    else:
        if (await caller.document(_doc_id(file_id))).document.source != store:
            raise _not_attached()
        await caller.delete(file_id)
    return JSONResponse({"id": file_id, "object": "vector_store.file.deleted", "deleted": True})


def _place(uploaded: Upload, store: str) -> tuple[str, float]:
    """The document that an attached upload became, and when."""
    if store not in uploaded.places:
        raise _not_attached()
    return uploaded.places[store]


def _not_attached() -> ApiError:
    return ApiError(404, "DOCUMENT_NOT_FOUND", "the file is not attached to this vector store")


def _put(uploaded: Upload, store: str, attributes: dict[str, Attribute], default_acl: str) -> docs.PutRequest:
    """The push. `acl` and `title` among the attributes are the document's own; the others are its metadata."""
    acl = str(attributes.pop("acl", default_acl))
    title = str(attributes.pop("title", ""))
    entries = [entry.strip() for entry in acl.split(",") if entry.strip()]
    words = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in attributes.items()}
    return docs.PutRequest(
        source=store,
        locator=uploaded.name,
        data=uploaded.content,
        title=title,
        acl=docs.Acl(entries=entries) if entries else None,
        metadata=words,
    )


def _unseen(store: str, file_id: str, doc_id: str, seconds: float) -> dict[str, Any]:
    if seconds < STORED_SECONDS:
        return shapes.store_file(store, file_id, "in_progress", doc_id=doc_id)
    message = "not stored, or not for this caller to see; operators find the cause with `rag quarantine list`"
    problem = {"code": "invalid_file", "message": message}
    return shapes.store_file(store, file_id, "failed", doc_id=doc_id, last_error=problem)


def _waiting(uploaded: Upload) -> dict[str, Any]:
    return {
        "id": uploaded.id,
        "object": "file",
        "bytes": len(uploaded.content),
        "created_at": int(uploaded.created),
        "filename": uploaded.name,
        "purpose": uploaded.purpose,
        "status": "uploaded",
    }


def _limit(request: Request) -> int:
    try:
        limit = int(request.query_params.get("limit", "20"))
    except ValueError:
        limit = 0
    if not 1 <= limit <= 100:
        raise invalid("limit", "must be 1 to 100")
    return limit


def _source(request: Request) -> str:
    store: str = request.path_params["store"]
    if not re.fullmatch(SOURCE_NAME, store):
        raise ApiError(400, "ID_CHARS", "vector store: up to 63 lower-case letters, digits, - and _, a letter first")
    return store


def _doc_id(file_id: str) -> str:
    try:
        return str(uuid.UUID(file_id))
    except ValueError:
        raise ApiError(404, "DOCUMENT_NOT_FOUND", "file: not found") from None
