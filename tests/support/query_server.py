"""A real query server for tests: Edge index on disk, the fake embedder, real tokens, real channels, free ports."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import grpc
import numpy as np
import structlog
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from structlog.testing import LogCapture

from query_server.runtime.dependencies import Dependencies, LazyStore
from query_server.runtime.listening import BindAddresses
from query_server.server import QueryServer
from rag_core.answering.extractive import ExtractiveAnswerer
from rag_core.content.embedding import Embedder
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.database import Store
from rag_core.database import open_store as _open_store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.access import EVERYONE, TokenRules, TokenVerifier, generate_key, mint
from rag_core.ids import chunk_ids, document_id, text_hash
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import DocumentUpdate, GenerationSpec, IndexPoint, Payload, VectorIndex
from rag_core.settings import Settings
from tests.support.postgres import temporary_database
from tests.support.waiting import eventually

T = TypeVar("T")
GENERATION = "g1"
INDEX_SECRET = "an index secret of some length"


@dataclass(frozen=True)
class Doc:
    """A document for the index; each paragraph (separated by an empty line) is one chunk."""

    text: str
    locator: str = "doc.txt"
    tenant: str = "acme"
    source: str = "handbook"
    acl: tuple[str, ...] = (EVERYONE,)
    title: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    version: int = 1

    @property
    def doc_id(self) -> uuid.UUID:
        return document_id(self.tenant, self.source, self.locator)


def update_of(doc: Doc, embedder: Embedder) -> DocumentUpdate:
    """The complete index state of a document."""
    texts = doc.text.split("\n\n")
    ids = chunk_ids(doc.doc_id, map(text_hash, texts))
    starts = np.cumsum([0, *(len(text) + 2 for text in texts)])
    points = []
    for ordinal, (text, chunk_id) in enumerate(zip(texts, ids, strict=True)):
        payload = Payload(
            tenant=doc.tenant,
            source=doc.source,
            doc_id=doc.doc_id,
            version=doc.version,
            locator=doc.locator,
            title=doc.title,
            acl=doc.acl,
            ordinal=ordinal,
            start=int(starts[ordinal]),
            end=int(starts[ordinal]) + len(text),
            text=text,
            headings=(),
            language="en",
            media_type="text/plain",
            updated_at=datetime(2026, 1, 1, tzinfo=UTC),
            metadata=doc.metadata,
        )
        points.append(IndexPoint(chunk_id, embedder.embed_passages([text])[0], payload, text))
    return DocumentUpdate(doc.doc_id, doc.version, tuple(points))


def fill(index: VectorIndex, docs: Sequence[Doc], embedder: Embedder, generation: str = GENERATION) -> None:
    """Create and promote a generation with these documents."""
    index.create(GenerationSpec(generation, embedder.dimensions, embedder.fingerprint, "chunker"))
    index.apply(generation, [update_of(doc, embedder) for doc in docs])
    index.promote(generation)


def open_filled(path: Path, docs: Sequence[Doc], embedder: FakeEmbedder) -> EdgeIndex:
    """An Edge index with these documents. It is written again each time: the engine's files are 200 MB of which next to
    nothing is written, and a copy would write all of it."""
    index = EdgeIndex(path)
    if docs:
        fill(index, docs, embedder)
    return index


class Keys:
    """A signing key, its JWKS file, and tokens."""

    def __init__(self, folder: Path) -> None:
        self.private, self.jwks = generate_key()
        self.path = folder / "jwks.json"
        self.path.write_text(json.dumps(self.jwks))

    def token(self, **claims: Any) -> str:
        wanted: dict[str, Any] = {"subject": "ann", "tenant": "acme", "scopes": ["query.read"], "lifetime": 600}
        return mint(self.private, **({"issuer": "rag-platform", "audience": "rag-query"} | wanted | claims))


def no_store() -> Store:
    """The database is down."""
    raise Unavailable(Reason.DATABASE_UNAVAILABLE, "the database cannot be reached")


@dataclass
class RunningServer:
    """A server in a thread with an event loop of its own."""

    server: QueryServer
    ports: BindAddresses
    keys: Keys
    index: VectorIndex
    embedder: FakeEmbedder
    loop: asyncio.AbstractEventLoop
    channel: grpc.Channel
    database_url: str = ""
    """Of the database that is the server's own."""

    def auth(self, **claims: Any) -> tuple[tuple[str, str], ...]:
        """Metadata with a token."""
        return (("authorization", f"Bearer {self.keys.token(**claims)}"),)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.ports.query}"

    @property
    def index_target(self) -> str:
        return f"127.0.0.1:{self.ports.index}"


def settings_of(home: Path, **changes: Any) -> Settings:
    """Settings of a small, quick server."""
    wanted: dict[str, Any] = {
        "home": home,
        "embedder": "fake",
        "index_secret": INDEX_SECRET,
        "jwt_public_keys": home / "jwks.json",
        "drain_seconds": 0,
        "grace_seconds": 5,
    }
    return Settings(**(wanted | changes))


def _drop(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Ends a log line; as a processor, so that a later test in this process can still capture what is logged."""
    raise structlog.DropEvent


@contextmanager
def running(
    home: Path,
    *,
    docs: Sequence[Doc] = (),
    wrap: Callable[[VectorIndex], VectorIndex] = lambda index: index,
    open_store: Callable[[], Store] | None = None,
    dependencies: dict[str, Any] | None = None,
    informed: bool = True,
    logged: bool = False,
    **changes: Any,
) -> Iterator[RunningServer]:
    """A server over a fresh index with `docs`; none leaves it without a generation. `changes` are settings.

    It has an empty database of its own unless `open_store` says otherwise. Unless it is not to be `informed`, it has
    read the revocations when this yields, however busy the machine is. Its log lines are dropped unless `logged` or
    captured.
    """
    if not logged and not any(isinstance(one, LogCapture) for one in structlog.get_config()["processors"]):
        structlog.configure(processors=[_drop])  # what holds without it prints every line
    with ExitStack() as stack:
        url = ""
        if open_store is None:
            url = stack.enter_context(temporary_database())
            open_store = lambda: _open_store(Settings(home=home, database_url=url), or_newer=True)  # noqa: E731
        started = stack.enter_context(_running(home, docs, wrap, open_store, dependencies or {}, changes))
        assert not informed or eventually(lambda: started.server.caches.know_access)
        yield replace(started, database_url=url)


@contextmanager
def _running(
    home: Path,
    docs: Sequence[Doc],
    wrap: Callable[[VectorIndex], VectorIndex],
    open_store: Callable[[], Store],
    dependencies: dict[str, Any],
    changes: dict[str, Any],
) -> Iterator[RunningServer]:
    home.mkdir(parents=True, exist_ok=True)
    settings = settings_of(home, **changes)
    keys, embedder = Keys(home), FakeEmbedder()
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_lifetime_seconds, 60)
    index = wrap(open_filled(settings.index_dir, docs, embedder))
    stores = LazyStore(open_store), LazyStore(open_store)
    made = replace(
        Dependencies(index, embedder, ExtractiveAnswerer(), TokenVerifier(keys.path, rules), *stores), **dependencies
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[QueryServer, BindAddresses]:
        server = QueryServer(settings, made)
        return server, await server.start(BindAddresses("127.0.0.1", 0, 0, changes.get("index_port", 0)))

    async def stop(server: QueryServer) -> None:
        await server.stop(grace=0)
        if not server.stuck:
            await made.close()

    server, ports = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    channel = grpc.insecure_channel(f"127.0.0.1:{ports.query}")
    try:
        yield RunningServer(server, ports, keys, index, embedder, loop, channel)
    finally:
        channel.close()
        asyncio.run_coroutine_threadsafe(stop(server), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True)
class Failure:
    """The client's view of a failed call."""

    code: grpc.StatusCode
    reason: str
    message: str
    request_id: str
    trailers: dict[str, Any]


def failure_of(error: grpc.RpcError) -> Failure:
    """Status, ErrorInfo and RequestInfo of an error."""
    reason = request_id = ""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo()
        if detail.Unpack(info):
            assert info.domain == "rag-platform"
            reason = info.reason
        elif detail.Unpack(request):
            request_id = request.request_id
    return Failure(error.code(), reason, error.details() or "", request_id, dict(error.trailing_metadata() or ()))


def violations(error: grpc.RpcError) -> list[tuple[str, str]]:
    found = error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)
    return [
        (one.field, one.reason)
        for detail in (status.details if status else ())
        if detail.Unpack(found)
        for one in found.field_violations
    ]


def failure(call: Callable[[], object]) -> Failure | None:
    """How a call fails, `None` when it does not."""
    try:
        call()
    except grpc.RpcError as error:
        return failure_of(error)
    return None


def failing(call: Callable[[], object]) -> Failure:
    """Run a call that must fail."""
    found = failure(call)
    assert found is not None, "the call succeeded"
    return found
