"""`POST /v1/chat/completions`: an answer with citations, whole or as a stream, or the passages alone."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from interfaces.citations import NOT_ANSWERED, Cited, annotate, from_citation, from_passage, outcome_of
from interfaces.errors import ApiError, internal
from interfaces.filters import within
from interfaces.openai import shapes
from interfaces.openai.requests import ChatRequest, read
from interfaces.platform import Caller
from ragproto.query.v2 import query_pb2 as pb

RETRIEVAL_ONLY = "retrieval-only"
Piece = str | dict[str, Any]
"""A piece of the text, or what ends it: citations, usage, and how the answer came about."""


async def complete(request: Request, caller: Caller) -> Response:
    """The completion. Raises `ApiError` for what fails before the first word."""
    chat = await read(request, ChatRequest)
    chat.require_supported()
    pieces = _retrieved(caller, chat) if chat.model == RETRIEVAL_ONLY else _answered(caller, chat)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": chat.model}
    if chat.stream:
        # The first piece is awaited: what fails before it is an HTTP status, as clients expect.
        first = await anext(pieces)
        usage = chat.stream_options is not None and chat.stream_options.include_usage
        stream = _events(head, first, pieces, usage=usage)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})
    async with aclosing(pieces):
        text, end = "", dict[str, Any]()
        async for piece in pieces:
            if isinstance(piece, str):
                text += piece
            else:
                end = piece
    message = {"role": "assistant", "content": text, "annotations": annotate(text, end["citations"])}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], **end})


async def _answered(caller: Caller, chat: ChatRequest) -> AsyncGenerator[Piece, None]:
    messages = [pb.Message(role=role, text=text) for role, text in chat.earlier]
    question = pb.AnswerRequest(
        query=chat.question,
        messages=messages,
        answerer=chat.model,
        no_fallback=chat.rag.no_fallback,
        filter=within(chat.rag.sources, chat.rag.filters),
        **chat.rag.options,
    )
    written = False
    async with caller.answer(question) as events:
        async for event in _known(events):
            if event.HasField("delta"):
                written = True
                yield event.delta.text
                continue
            final = event.final
            if final.HasField("failed"):
                raise ApiError(502, final.failed.reason, final.failed.message)
            if not written:
                yield NOT_ANSWERED
            yield _end(final)
            return
    raise internal()


async def _known(events: AsyncIterator[pb.AnswerEvent]) -> AsyncIterator[pb.AnswerEvent]:
    """The events; an unknown answerer is one of our models that does not exist."""
    try:
        async for event in events:
            yield event
    except ApiError as error:
        if error.reason != "ANSWERER_UNKNOWN":
            raise
        message = "model: no such model; `GET /v1/models` lists them"
        raise ApiError(error.status, error.reason, message, field="model") from None


def _end(final: pb.AnswerFinal) -> dict[str, Any]:
    said = final.answered if final.HasField("answered") else final.abstained
    usage = final.usage
    rag = {
        "outcome": outcome_of(final),
        "reason": final.abstained.reason or None,
        "generation": final.generation,
        "answerer": final.answered_by.answerer,
        "answer_model": final.answered_by.model or None,
        "fallback_reason": final.answered_by.fallback_reason or None,
        "standalone_question": final.standalone_question or None,
        "passages": usage.passages,
    }
    tokens = shapes.usage(usage.prompt_tokens, usage.completion_tokens)
    unseen = {number for excerpt in final.excerpts if excerpt.further for number in excerpt.citations}
    cited = [from_citation(one) for one in said.citations if one.number not in unseen]  # what the text cites
    return {"usage": tokens, "citations": cited, "rag": rag}


async def _retrieved(caller: Caller, chat: ChatRequest) -> AsyncGenerator[Piece, None]:
    """The passages in order, each as a numbered piece of text. Earlier messages play no part."""
    filters = within(chat.rag.sources, chat.rag.filters)
    found = await caller.search(pb.SearchRequest(query=chat.question, filter=filters, **chat.rag.options))
    cited = [from_passage(number, passage) for number, passage in enumerate(found.passages, 1)]
    for one in cited:
        yield _numbered(one)
    if not cited:
        yield "No passage that you may read matches this question."
    rag = {"outcome": "passages" if cited else "not_found", "generation": found.generation, "passages": len(cited)}
    yield {"usage": shapes.usage(0, 0), "citations": cited, "rag": rag}


def _numbered(one: Cited) -> str:
    title = one["title"] or one["locator"]
    name = " › ".join(dict.fromkeys([title, *one["heading_path"]]))
    quoted = "\n".join(f"> {line}" for line in one["quote"].splitlines())
    return f"[{one['number']}] {name}\n{quoted}\n\n"


async def _events(
    head: dict[str, Any], first: Piece, pieces: AsyncGenerator[Piece, None], *, usage: bool
) -> AsyncIterator[str]:
    """The stream as server-sent events. A failure after the first word is an event, as OpenAI's clients know it."""
    head = {**head, "object": "chat.completion.chunk"}
    text = ""

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _event({**head, "choices": [choice], **more})

    async with aclosing(pieces):
        try:
            yield chunk({"role": "assistant", "content": ""})
            piece: Piece | None = first
            while piece is not None:
                if isinstance(piece, str):
                    text += piece
                    yield chunk({"content": piece})
                else:
                    tokens = piece.pop("usage")
                    yield chunk({"annotations": annotate(text, piece["citations"])}, "stop", **piece)
                    if usage:
                        yield _event({**head, "choices": [], "usage": tokens})
                piece = await anext(pieces, None)
            yield "data: [DONE]\n\n"
        except ApiError as error:
            yield _event(shapes.error(error))


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
