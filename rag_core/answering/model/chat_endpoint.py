"""Calls to an OpenAI-compatible chat endpoint: streamed, and bounded in every direction.

The endpoint is not trusted to end, to be quick, or to send what it should: time, bytes, the length of a line and the
length of the text have limits, redirects are not followed and compressed bodies are refused. Whatever it does wrong is
one typed error, and nothing of what it sent is in it. The lines of the event stream are read here because of these
limits: httpx and the readers built on it keep a line until it ends. So does the package `openai`, whose version 3 also
has an HTTP client of its own (httpx2), for which our guarded transport is none, and takes 0.7 s to import.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx

from rag_core.answering.base import Tokens
from rag_core.answering.model.prompts import Chat
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import EXTENSION, Provenance, retry_after

CONNECT_SECONDS: Final = 5
MAX_LINE_BYTES: Final = 262_144
"""Longest line of the event stream: one token with its log probabilities is a few kilobytes."""
_BYTES_BESIDES: Final = 1_048_576
_BYTES_PER_TOKEN: Final = 4096
"""Bytes that the events of one token may take, thoughts that are not shown included."""
_CHARS_PER_TOKEN: Final = 32
MAX_PAUSE_SECONDS: Final = 60.0
"""Longest pause that an endpoint's Retry-After is given."""
_CUT: Final = frozenset({"length", "content_filter"})
_BUSY: Final = frozenset({429, 503, 529})


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the model's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The model has ended; `cut` when it was stopped in the middle, as by the limit of tokens."""

    cut: bool


ChatEvent = Text | Finished | Tokens


class ChatEndpoint:
    """Sends chats to one endpoint. For one event loop at a time."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self.model = model
        self._paused_until = 0.0

    async def stream(self, chat: Chat, *, max_tokens: int, whose: Provenance) -> AsyncGenerator[ChatEvent, None]:
        """The model's text as it comes, then `Finished`; `Tokens` where the endpoint counts.

        Raises `Unavailable` (`ANSWERER_UNAVAILABLE`), and `PermissionDenied` (`EGRESS_FORBIDDEN`) before anything
        leaves. The caller bounds the time; closing ends the call.
        """
        self._require_no_pause()
        body = {
            "model": self.model,
            "messages": chat,
            "stream": True,
            "temperature": 0,
            "max_tokens": max_tokens,
            "stream_options": {"include_usage": True},
        }
        try:
            async with self._client.stream(
                "POST", "chat/completions", json=body, extensions={EXTENSION: whose}
            ) as response:
                self._check(response)
                async with aclosing(_events(response, max_tokens)) as events:
                    async for event in events:
                        yield event
        except InvalidInput as error:
            raise unavailable(f"is not called: {error.message}") from None
        except httpx.HTTPError:
            raise unavailable("cannot be reached, or broke off") from None

    async def close(self) -> None:
        await self._client.aclose()

    def _require_no_pause(self) -> None:
        left = self._paused_until - time.monotonic()
        if left > 0:
            raise unavailable(f"asked for a pause of {left:.0f} more seconds")

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _BUSY:
            pause = retry_after(response.headers.get("retry-after"))
            if pause is not None:
                self._paused_until = time.monotonic() + min(pause, MAX_PAUSE_SECONDS)
        if status in {401, 403}:
            raise unavailable(f"refuses the key (status {status}); check RAG_ANSWER_API_KEY")
        if status in {400, 404, 422}:
            raise unavailable(f"refuses the request (status {status}); check RAG_ANSWER_URL and RAG_ANSWER_MODEL")
        if status != httpx.codes.OK:
            raise unavailable(f"answered with status {status}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise unavailable("sent a compressed stream, which was not asked for")


async def _events(response: httpx.Response, max_tokens: int) -> AsyncGenerator[ChatEvent, None]:
    chars, finished = 0, False
    async with aclosing(_lines(response, _BYTES_BESIDES + max_tokens * _BYTES_PER_TOKEN)) as lines:
        async for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                if not finished:
                    yield Finished(cut=False)
                return
            for event in _parsed(data):
                if isinstance(event, Text):
                    chars += len(event.text)
                    if chars > max_tokens * _CHARS_PER_TOKEN:
                        raise unavailable("sent an endless answer")
                finished = finished or isinstance(event, Finished)
                yield event
    if not finished:  # some endpoints close without `[DONE]`, but none without a reason to finish
        raise unavailable("broke off")


async def _lines(response: httpx.Response, limit: int) -> AsyncGenerator[bytes, None]:
    """Lines of the body that are not empty, none longer than `MAX_LINE_BYTES`."""
    rest, received = bytearray(), 0
    source: AsyncIterator[bytes] = response.aiter_raw()
    async for part in source:
        received += len(part)
        if received > limit:
            raise unavailable("sent an endless answer")
        rest += part
        *complete, rest = rest.split(b"\n")
        if len(rest) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in complete):
            raise unavailable("sent something that is not a chat completion stream")
        for line in filter(None, complete):
            yield bytes(line.rstrip(b"\r"))
    if rest:
        yield bytes(rest)


def _parsed(data: bytes) -> list[ChatEvent]:
    """Parse one event. Raises `Unavailable` for what is no event of a chat completion."""
    try:
        message = json.loads(data)
        choices = message["choices"]
        choice = choices[0] if choices else {}
        content = choice["delta"].get("content") if "delta" in choice else None
        reason = choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise unavailable("sent something that is not a chat completion stream") from None
    if content is not None and not _is_text(content):
        raise unavailable("sent something that is not a chat completion stream")
    found: list[ChatEvent] = [Text(content)] if content else []
    if reason is not None:
        found.append(Finished(cut=reason in _CUT))
    tokens = _tokens(message.get("usage"))
    return [*found, tokens] if tokens else found


def _is_text(content: Any) -> bool:
    """A JSON string may hold half a surrogate pair, which is no text and cannot be sent on."""
    return isinstance(content, str) and not any("\ud800" <= char <= "\udfff" for char in content)


def _tokens(usage: object) -> Tokens | None:
    """The counts of the last event, where the endpoint sends them. They are a courtesy: odd ones are left out."""
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (count if type(count) is int and 0 <= count < 2**63 else None for count in counts)
    return None if prompt is None or completion is None else Tokens(prompt, completion)


def unavailable(what: str) -> RagError:
    """The one error of the endpoint."""
    return Unavailable(Reason.ANSWERER_UNAVAILABLE, f"the answer model {what}; retry later")
