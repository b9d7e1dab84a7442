"""Answers: events of a stream, put together, and taken up again where a connection broke."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from rag_platform_client.calls import Call
from rag_platform_client.errors import RagError, from_response, from_success
from rag_platform_client.types import AnswerEvent as Event
from rag_platform_client.types import AnswerFinal as Final
from rag_platform_client.types import Citation


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    text: str
    final: Final

    @property
    def outcome(self) -> str:
        """ANSWERED, CLOSEST_PASSAGES (not sure: `text` shows the nearest places) or NOT_FOUND."""
        return str(self.final.get("answer_outcome", "")).removeprefix("ANSWER_OUTCOME_")

    @property
    def citations(self) -> list[Citation]:
        """What the markers [n] of the text refer to."""
        said: Any = self.final.get("answered") or self.final.get("abstained") or {}
        return list(said.get("citations", []))


class Progress:
    """How far a stream came, and the call that continues it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._token = ""
        self.ended = False

    def call(self) -> Call:
        """The call for what is missing."""
        if not self._token:
            return self._call
        return replace(self._call, body={**self._call.body, "resume_token": self._token})

    def read(self, line: str) -> Iterator[Event]:
        """The event of a line of the stream, if it has one. Raises `RagError` when the answer broke off."""
        if not line.startswith("data:"):
            return
        content = from_success(line.removeprefix("data:"))
        if not isinstance(content, dict) or "error" in content or "code" in content:  # the stream ended with a status
            said = content.get("error", content) if isinstance(content, dict) else {}
            raise from_response(0, {}, json.dumps(said).encode())
        event = cast("Event", content)
        self._token = event.get("resume_token", self._token) or self._token
        final = event.get("final")
        if final is not None:
            self.ended = True
            failed = final.get("failed")
            if failed is not None:
                raise RagError(failed.get("reason", "INTERNAL"), failed.get("message", "the answer broke off"))
        yield event


def text_of(event: Event) -> str:
    """The piece of text of an event."""
    delta: Any = event.get("delta") or {}
    return str(delta.get("text", ""))
