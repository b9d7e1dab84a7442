"""A question that the documents of this stack answer, for the examples that `rag up` prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from rag_core.errors import RagError
from rag_core.settings import Settings
from ragctl.gateway.options import reachable

if TYPE_CHECKING:
    import grpc

_DEFAULT = "How are deletions guarded?"
"""Answered by this project's own documentation, which the default corpus holds."""
_TITLES = 5
_CALL_SECONDS = 5.0


def answerable_question(settings: Settings) -> str:
    """The default question, or one made of a title, whichever is answered first; the default when none is."""
    from ragctl.grpc_client import open_channel, typed_errors
    from ragctl.tokens import mint_token

    metadata = [("authorization", f"Bearer {mint_token(settings, subject='rag-up', lifetime=300)}")]
    with (
        suppress(RagError),
        open_channel(f"{reachable(settings.host)}:{settings.gateway_port}") as channel,
        typed_errors(),
    ):
        for question in _candidates(channel, metadata):
            if _answered(channel, metadata, question):
                return question
    return _DEFAULT


def _candidates(channel: grpc.Channel, metadata: list[tuple[str, str]]) -> Iterator[str]:
    from ragproto.query.v2 import query_pb2, query_pb2_grpc

    yield _DEFAULT
    request = query_pb2.SearchRequest(query="introduction", top_k=4 * _TITLES)
    stub = query_pb2_grpc.QueryServiceStub(channel)
    passages = stub.Search(request, timeout=_CALL_SECONDS, metadata=metadata).passages
    titles = dict.fromkeys(passage.title for passage in passages if passage.title.isprintable() and passage.title)
    yield from (f"What is {title}?" for title in list(titles)[:_TITLES])


def _answered(channel: grpc.Channel, metadata: list[tuple[str, str]], question: str) -> bool:
    from ragproto.query.v2 import query_pb2, query_pb2_grpc

    stub = query_pb2_grpc.QueryServiceStub(channel)
    events = stub.Answer(query_pb2.AnswerRequest(query=question), timeout=_CALL_SECONDS, metadata=metadata)
    return any(event.final.HasField("answered") for event in events if event.HasField("final"))
