"""The query server by gRPC, as one caller. Every method raises `ApiError`."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from interfaces.errors import from_rpc
from interfaces.settings import InterfacesSettings
from rag_tracing import outgoing
from ragproto.directories.v1 import directories_pb2_grpc as directories_rpc
from ragproto.documents.v1 import documents_pb2 as docs
from ragproto.documents.v1 import documents_pb2_grpc as docs_rpc
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc as rpc

READINESS = "ragproto.query.v2.QueryService"
_READY_SECONDS = 2.0
_W3C = ("traceparent", "tracestate")
_PASSED_ON = ("authorization", "x-api-key", "x-request-id", *_W3C)
_MAX_MESSAGE = 64 * 1024 * 1024
_PAGE, _MAX_PAGES = 1000, 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials as the caller sent them, passed on unchanged."""

    metadata: tuple[tuple[str, str], ...]

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> Credentials:
        """Those of an HTTP request. A value that no header of gRPC can carry is left out, so that the call has none."""
        found = ((name, headers.get(name)) for name in _PASSED_ON)
        return cls(tuple((name, value) for name, value in found if value and value.isascii() and value.isprintable()))

    @property
    def secret(self) -> str:
        """The token or the key, empty without one. Never logged."""
        sent = dict(self.metadata)
        return sent.get("authorization") or sent.get("x-api-key") or ""


class Platform:
    """The connections to the query servers, used in turn."""

    def __init__(self, settings: InterfacesSettings) -> None:
        self.settings = settings
        self._channels: list[grpc.aio.Channel] = []
        self._turns = itertools.count()

    async def __aenter__(self) -> Platform:
        """Open the connections, in the event loop that will use them."""
        self._channels = [_channel(self.settings) for _ in range(self.settings.connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        for channel in self._channels:
            await channel.close(None)

    def of(self, credentials: Credentials) -> Caller:
        """The platform as this caller sees it."""
        return Caller(self._next(), credentials, self.settings.call_seconds)

    async def ready(self) -> bool:
        """Return whether a query server says that it can answer."""
        stub = health_pb2_grpc.HealthStub(self._next())
        try:
            found = await stub.Check(health_pb2.HealthCheckRequest(service=READINESS), timeout=_READY_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)

    def _next(self) -> grpc.aio.Channel:
        return self._channels[next(self._turns) % len(self._channels)]


class Caller:
    """Calls with one caller's credentials."""

    def __init__(self, channel: grpc.aio.Channel, credentials: Credentials, seconds: float) -> None:
        self.credentials = credentials
        self._queries: Any = rpc.QueryServiceStub(channel)
        self._documents: Any = docs_rpc.DocumentServiceStub(channel)
        self._directories: Any = directories_rpc.DirectoryServiceStub(channel)
        self._seconds = seconds

    async def search(self, request: pb.SearchRequest) -> pb.SearchResponse:
        """Find passages."""
        return await self._call(self._queries.Search, request)

    @asynccontextmanager
    async def answer(self, request: pb.AnswerRequest) -> AsyncIterator[AsyncIterator[pb.AnswerEvent]]:
        """The events of an answer. The call ends with the block, however that ends."""
        call = self._queries.Answer(request, **self._options())
        try:
            yield _events(call)
        finally:
            call.cancel()

    async def sources(self) -> list[pb.ListSourcesResponse.Source]:
        """The sources with documents that the caller may see, up to ten thousand."""
        found, token = list[pb.ListSourcesResponse.Source](), ""
        for _ in range(_MAX_PAGES):
            page = await self._call(self._queries.ListSources, pb.ListSourcesRequest(page_size=_PAGE, page_token=token))
            found += page.sources
            token = page.next_page_token
            if not token:
                break
        return found

    async def answerers(self) -> list[pb.ListAnswerersResponse.Answerer]:
        """Return the answerers; the default first."""
        return list((await self._call(self._queries.ListAnswerers, pb.ListAnswerersRequest())).answerers)

    async def usage(self) -> pb.GetUsageResponse:
        """Return the caller's tenant and key, and what they used today."""
        return await self._call(self._queries.GetUsage, pb.GetUsageRequest())

    async def document(self, doc_id: str, *, text: bool = False) -> docs.GetResponse:
        """A document, with its text when asked."""
        request = docs.GetRequest(doc_id=doc_id, include_text=text)
        return await self._call(self._documents.Get, request)

    async def documents(self, *, source: str = "", size: int, token: str = "") -> docs.ListResponse:
        """A page of documents."""
        request = docs.ListRequest(source=source, page_size=size, page_token=token)
        return await self._call(self._documents.List, request)

    async def put(self, request: docs.PutRequest) -> docs.PutResponse:
        """Push a document."""
        return await self._call(self._documents.Put, request)

    async def delete(self, doc_id: str) -> None:
        """Delete a pushed document."""
        await self._call(self._documents.Delete, docs.DeleteRequest(doc_id=doc_id))

    async def directory(self, method: str, request: Any) -> Any:
        """Call a method of the service of directories."""
        return await self._call(getattr(self._directories, method), request)

    def _options(self) -> dict[str, Any]:
        """A call within this request's span, or with the context that the request brought where there is none."""
        own = outgoing()
        brought = self.credentials.metadata
        rest = [(name, value) for name, value in brought if name not in _W3C] if own else brought
        return {"metadata": (*rest, *own), "timeout": self._seconds}

    async def _call(self, method: Any, request: Any) -> Any:
        try:
            return await method(request, **self._options())
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None


async def _events(call: Any) -> AsyncIterator[pb.AnswerEvent]:
    try:
        async for event in call:
            yield event
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error) from None


def _channel(settings: InterfacesSettings) -> grpc.aio.Channel:
    # A proxy of the environment must not see calls to our own servers; channels of one process share a connection
    # unless they are told not to.
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ("grpc.max_send_message_length", _MAX_MESSAGE),
    ]
    if settings.query_tls_ca is None:
        return grpc.aio.insecure_channel(settings.query_address, options=options)
    key, certificate = (
        path.read_bytes() if path else None for path in (settings.query_key, settings.query_certificate)
    )
    credentials = grpc.ssl_channel_credentials(settings.query_tls_ca.read_bytes(), key, certificate)
    options.append(("grpc.ssl_target_name_override", settings.query_tls_name))
    return grpc.aio.secure_channel(settings.query_address, credentials, options=options)
