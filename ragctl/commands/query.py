"""`rag query`: a question through the gateway, as any client would ask it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ragctl.output import Json, emit_json, say, visible

if TYPE_CHECKING:
    from rag_core.settings import Settings
    from ragproto.query.v2 import query_pb2

_ABSTENTIONS = {
    "NO_RESULTS": "no document that you may read matches this question",
    "NOT_SUPPORTED": "the sources do not answer this question",
}


def query(
    text: str, /, *, top_k: int | None = None, search: bool = False, tenant: str = "default", json: Json = False
) -> int:
    """Ask a question through the gateway and print the answer with its citations. Exits with 1 when there is none.

    Example: rag query "How are deletions guarded?"

    Parameters
    ----------
    text
        The question, in any language.
    top_k
        Number of passages to retrieve, 1 to 100.
    search
        Print the matching passages, without an answer.
    tenant
        Tenant whose documents are searched.
    """
    from rag_core.settings import Settings

    settings = Settings.load()
    return (_search if search else _answer)(settings, text, top_k, tenant, json)


def _search(settings: Settings, text: str, top_k: int | None, tenant: str, json: bool) -> int:
    from ragproto.query.v2 import query_pb2

    with _stub(settings, tenant) as (stub, call):
        response = stub.Search(query_pb2.SearchRequest(query=text, top_k=top_k), **call)
    if json:
        emit_json(_plain(response))
        return 0
    for number, passage in enumerate(response.passages, start=1):
        where = " > ".join([passage.title or passage.locator, *passage.headings])
        say(f"{number}. {where}\n   {_place(passage)}  score {passage.score:.3f}")
        say(_indented(passage.text) + "\n")
    if not response.passages:
        say("nothing found")
    return int(not response.passages)


def _answer(settings: Settings, text: str, top_k: int | None, tenant: str, json: bool) -> int:
    from ragproto.query.v2 import query_pb2

    with _stub(settings, tenant) as (stub, call):
        events = _resumed(partial(stub.Answer, **call), query_pb2.AnswerRequest(query=text, top_k=top_k))
        if json:
            return _answer_as_json(events)
        final = _print_deltas(events)
    return _print_final(final)


def _resumed(
    ask: Callable[[query_pb2.AnswerRequest], Iterator[query_pb2.AnswerEvent]], request: query_pb2.AnswerRequest
) -> Iterator[query_pb2.AnswerEvent]:
    """The events of an answer. A stream that is cut after some text is resumed once."""
    import grpc

    try:
        for event in ask(request):
            request.resume_token = event.resume_token
            yield event
    except grpc.RpcError as error:
        # A gateway that loses its server in mid-stream can only reset the stream, which gRPC calls INTERNAL.
        if not request.resume_token or error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}:
            raise
    else:
        return
    yield from ask(request)


def _print_deltas(events: Iterator[query_pb2.AnswerEvent]) -> query_pb2.AnswerFinal:
    import grpc

    from rag_core.errors import Reason, Unavailable

    begun = False
    try:
        for event in events:
            if event.HasField("final"):
                return event.final
            sys.stdout.write(visible(event.delta.text))
            sys.stdout.flush()
            begun = True
    except grpc.RpcError:
        if begun:
            say("")  # the error begins a line of its own
        raise
    raise Unavailable(Reason.SERVER_UNAVAILABLE, "the answer broke off; ask again")


def _print_final(final: query_pb2.AnswerFinal) -> int:
    outcome = final.WhichOneof("outcome")
    if outcome == "abstained":
        say(f"No answer: {_ABSTENTIONS.get(final.abstained.reason, final.abstained.reason)}.")
        return 1
    if outcome == "failed":
        _raise_failed(final)
    say("\n")
    for citation in final.answered.citations:
        say(f"[{citation.number}] {citation.title or citation.locator}\n    {_place(citation)}")
    return 0


def _answer_as_json(events: Iterator[query_pb2.AnswerEvent]) -> int:
    parts: list[str] = []
    for event in events:
        if not event.HasField("final"):
            parts.append(event.delta.text)
            continue
        if event.final.WhichOneof("outcome") == "failed":
            _raise_failed(event.final)
        emit_json({"answer": "".join(parts), **_plain(event.final)})
        return int(event.final.WhichOneof("outcome") != "answered")
    return 1


def _raise_failed(final: query_pb2.AnswerFinal) -> None:
    from rag_core.errors import Reason, Unavailable

    known = final.failed.reason in Reason.__members__
    raise Unavailable(Reason(final.failed.reason) if known else Reason.SERVER_UNAVAILABLE, final.failed.message)


def _stub(settings: Settings, tenant: str) -> Any:
    from contextlib import contextmanager

    from ragctl.gateway.options import reachable
    from ragctl.grpc_client import open_channel, typed_errors
    from ragctl.tokens import mint_token
    from ragproto.query.v2 import query_pb2_grpc

    @contextmanager
    def opened() -> Iterator[tuple[Any, dict[str, Any]]]:
        token = mint_token(settings, subject="developer", tenant=tenant, lifetime=300)
        call = {"metadata": [("authorization", f"Bearer {token}")], "timeout": settings.max_deadline_seconds}
        with open_channel(f"{reachable(settings.host)}:{settings.gateway_port}") as channel, typed_errors():
            yield query_pb2_grpc.QueryServiceStub(channel), call

    return opened()


def _place(item: Any) -> str:
    return f"{item.source}: {item.locator}, version {item.version}, characters {item.start} to {item.end}"


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())


def _plain(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return plain
