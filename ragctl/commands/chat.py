"""`rag chat`: a conversation in the terminal. It is kept here; the server keeps nothing."""

from __future__ import annotations

import json as _json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rag_core.errors import RagError
from ragctl.commands.query import as_plain, collect, gather, print_answer, resumed, say_sources, source_filter
from ragctl.grpc_client import query_stub
from ragctl.output import Json, note, say

if TYPE_CHECKING:
    from rag_core.settings import Settings
    from ragproto.query.v2 import query_pb2

_WELCOME = "Each question continues the conversation. /new begins another one, /quit or Ctrl-D ends."


def chat(
    *,
    top_k: int | None = None,
    source: Annotated[list[str] | None, Parameter(negative="")] = None,
    tenant: str = "default",
    json: Json = False,
) -> int:
    """Ask questions that build on each other: "How long is parental leave?", then "Is it paid?".

    Each answer shows on standard error what a follow-up was understood as. On a pipe every line is a question.

    Exits with 1 when the last question had no answer.

    Example: rag chat

    Parameters
    ----------
    top_k
        Number of passages to retrieve for each question, 1 to 100.
    source
        Only documents of this source; several times for several (`rag source list`).
    tenant
        Tenant whose documents are searched.
    json
        Print one JSON document a line for each answer.
    """
    from rag_core.settings import Settings

    conversation = Conversation(Settings.load(), tenant, top_k, source or ())
    if sys.stdin.isatty():
        note(_WELCOME)
    code = 0
    for text in _questions():
        if text == "/quit":
            break
        if text == "/new":
            conversation.begin()
            note("A new conversation.")
        else:
            code = _reported(conversation, text, json=json)
            if sys.stdin.isatty():
                say()
    return code


class Conversation:
    """Questions and answers so far, within the server's limits: of a longer conversation the oldest messages are
    dropped."""

    def __init__(self, settings: Settings, tenant: str, top_k: int | None, sources: Sequence[str]) -> None:
        self._settings, self._tenant, self._top_k, self._sources = settings, tenant, top_k, sources
        self._messages: list[query_pb2.Message] = []

    def begin(self) -> None:
        """Forget what was said."""
        self._messages = []

    def ask(self, text: str, *, json: bool) -> int:
        """Ask, print the answer, and remember both. Returns the exit code; raises what a call raises."""
        from ragproto.query.v2 import query_pb2

        filtered = source_filter(self._sources)
        request = query_pb2.AnswerRequest(query=text, top_k=self._top_k, messages=self._messages, **filtered)
        with query_stub(self._settings, self._tenant) as (stub, call):
            answer, final = (gather if json else collect)(resumed(partial(stub.Answer, **call), request))
        if json:
            print(_json.dumps(as_plain(answer, final), ensure_ascii=False), flush=True)
        code = int(final.WhichOneof("outcome") != "answered") if json else print_answer(answer, final)
        if code:
            say_sources(self._sources)
        self._remember("user", text)
        self._remember("assistant", answer)
        return code

    def _remember(self, role: str, text: str) -> None:
        from ragproto.query.v2 import query_pb2

        limits = self._settings
        if text.strip():
            self._messages.append(query_pb2.Message(role=role, text=text[: limits.conversation_message_chars]))
        while self._messages and (
            len(self._messages) > limits.conversation_messages
            or sum(len(message.text) for message in self._messages) > limits.conversation_chars
        ):
            del self._messages[0]


def _reported(conversation: Conversation, text: str, *, json: bool) -> int:
    """Ask; an error is a line on standard error, and the conversation continues."""
    try:
        return conversation.ask(text, json=json)
    except RagError as error:
        note(f"rag: {error.reason}: {error.message}")
        return 1


def _questions() -> Iterator[str]:
    """Lines that are not blank: typed ones with history and editing, or those of a pipe."""
    if not sys.stdin.isatty():
        yield from filter(None, map(str.strip, sys.stdin))
        return
    with suppress(ImportError):
        import readline  # noqa: F401  input() then edits lines and remembers them
    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            note("")
            return
        if text:
            yield text
