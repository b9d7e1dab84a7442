"""Resumed answers: a stream that was cut continues after the text that the client has.

A reset carries no message, so every piece of an answer comes with a token, and the client holds the newest one when the
stream is cut. The token says how far the client is. The answer is composed again and what the client has is left out;
nothing is kept on the server.
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from query_server.handlers.paging import SignedTokens
from query_server.handlers.query.plan import Plan
from rag_core.answering import Abstained, Answered, AnswerEvent, Delta, Writing
from rag_core.errors import Conflict, InvalidInput, Reason

_DIGEST_BYTES = 16
_SEEN = struct.Struct(f">I{_DIGEST_BYTES}s")


@dataclass(frozen=True, slots=True)
class ResumeCursor:
    """The part of an answer that a client has: its generation, the number of characters and their hash."""

    generation: str
    chars: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class ResumableDelta:
    """The next piece of the text, and the token for what comes after it."""

    text: str
    resume_token: str


class ResumeTokens:
    """Issues resume tokens with the first secret, accepts tokens of any secret."""

    def __init__(self, *secrets: bytes, clock: Callable[[], float] = time.time) -> None:
        self._tokens = SignedTokens(secrets, b"resume-token", clock=clock)

    def issue(self, cursor: ResumeCursor, context: bytes) -> str:
        """A token for the rest of the answer to the request that `context` stands for (see `context_of`)."""
        return self._tokens.issue(_SEEN.pack(cursor.chars, cursor.digest) + cursor.generation.encode(), context)

    def read(self, token: str, context: bytes) -> ResumeCursor:
        """Raises `InvalidInput` (`RESUME_TOKEN_INVALID`); the text is the same whatever is wrong with it."""
        content = self._tokens.read(token, context)
        if content is None or len(content) < _SEEN.size:
            raise InvalidInput(
                Reason.RESUME_TOKEN_INVALID, "resume_token: not valid for this request; ask again without one"
            )
        chars, digest = _SEEN.unpack_from(content)
        return ResumeCursor(content[_SEEN.size :].decode(), chars, digest)


class Progress:
    """Counts and hashes the text of an answer as it is sent."""

    def __init__(self, generation: str) -> None:
        self._generation = generation
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self.chars = 0

    def add(self, text: str) -> None:
        """Count text that was sent to the client."""
        self._hash.update(text.encode())
        self.chars += len(text)

    def cursor(self) -> ResumeCursor:
        """The client's present progress."""
        return ResumeCursor(self._generation, self.chars, self._hash.digest())


def context_of(plan: Plan) -> bytes:
    """The context of a token: the context of a page token, and the number of passages for the answer."""
    return b"%d|%s" % (plan.request.limit, plan.context)


async def after_cursor(
    events: AsyncGenerator[AnswerEvent, None], cursor: ResumeCursor, progress: Progress
) -> AsyncGenerator[AnswerEvent, None]:
    """The events without the text that the client has, which goes into `progress`.

    Raises `Conflict` (`RESUME_LOST`), before the first event, when the answer does not begin with that text.
    """
    async with aclosing(events):
        async for event in events:
            missing = cursor.chars - progress.chars
            if missing <= 0:
                yield event
                continue
            if isinstance(event, Writing):
                continue
            if not isinstance(event, Delta):
                raise lost()
            progress.add(event.text[:missing])
            if progress.chars == cursor.chars and progress.cursor() != cursor:
                raise lost()
            if rest := event.text[missing:]:
                yield Delta(rest)


async def resumable(
    events: AsyncGenerator[AnswerEvent, None], progress: Progress, issue: Callable[[ResumeCursor], str]
) -> AsyncGenerator[Writing | ResumableDelta | Answered | Abstained, None]:
    """The events, each piece of text with its token."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Delta):
                progress.add(event.text)
                yield ResumableDelta(event.text, issue(progress.cursor()))
            else:
                yield event


def lost() -> Conflict:
    """The one error for an answer that is not what it was."""
    return Conflict(
        Reason.RESUME_LOST, "the answer is no longer the one that broke off; ask again without the resume token"
    )
