"""A scripted peer on the wires of the platform and a real Envoy before it, for clients whose server must say things."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pytest_httpserver import HTTPServer

import ragproto
from benchmarks.ports import free_port
from query_server.runtime.status import code_of, trailers
from rag_core.errors import RagError
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Limits
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.runtime_folder import runtime_folder
from ragproto.admin.v1 import (
    access_pb2,
    access_pb2_grpc,
    admin_pb2,
    admin_pb2_grpc,
    deployments_pb2,
    deployments_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    sources_pb2,
    sources_pb2_grpc,
    tenants_pb2,
    tenants_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
    webhooks_pb2,
    webhooks_pb2_grpc,
)
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import curation_pb2, curation_pb2_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.waiting import eventually

MAX_REQUEST_BYTES = 20_000
MAX_SECONDS = 20
REQUEST_ID = "request-of-the-test"
"""Of every call that the peer refuses."""


class WirePeer:
    """A gRPC server whose answers a test sets. `metadata` is what the last call carried."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.status = admin_pb2.GetStatusResponse()
        self.next_status: list[admin_pb2.GetStatusResponse] = []
        """Answers of `GetStatus` before `status`."""
        self.answer: list[v2.AnswerEvent] = []
        self.query: Callable[[v1.QueryRequest], v1.QueryResponse] = lambda request: v1.QueryResponse(
            answer=request.query
        )
        self.delay_seconds = 0.0
        self.failure: grpc.StatusCode | None = None
        self.operations: dict[str, Any] = {}
        """Answers of admin and document services and of `Search` by the name of the method, or what makes them."""
        self.asked: list[tuple[str, Any]] = []
        self.scopes = ["admin", "platform.admin", "query.read"]
        self.passages: list[v2.Passage] = []
        self.metadata: dict[str, str] = {}
        self.asking: dict[str, str] = {}
        """What the last question carried."""
        self.time_remaining: float | None = None
        self.arrived = threading.Semaphore(0)
        """Counts the blocked searches."""
        self._let_go: asyncio.Event | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: grpc.aio.Server | None = None
        self._health: Any = None

    def answers(self, text: str, final: v2.AnswerFinal | None = None, **fields: Any) -> None:
        """Answer with this text, and with an end that is given whole or by its fields."""
        end = v2.AnswerEvent(final=final or v2.AnswerFinal(**fields))
        self.answer = [v2.AnswerEvent(delta=v2.AnswerDelta(text=text)), end]

    def start(self) -> None:
        """Listen; on the same port as before after a stop."""
        if not self._thread.is_alive():
            self._thread.start()
        self._run(self._start())

    def stop(self) -> None:
        """Stop at once, as a killed process would."""
        if self._server is not None:
            self._run(self._server.stop(0))
            self._server = None

    def set_ready(self, ready: bool) -> None:
        """Publish whether queries can be answered; the process itself stays healthy."""
        self._run(self._set_ready(ready))

    async def _set_ready(self, ready: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._health.set("ragproto.query.v2.QueryService", status)

    def hold_no_more(self) -> None:
        """Answer further searches at once; blocked ones stay blocked."""
        self._let_go = None

    @contextmanager
    def holding_searches(self) -> Iterator[None]:
        """Keep every search, and the end of every answer, until this is left."""
        let_go = self._let_go = asyncio.Event()
        try:
            yield
        finally:
            self.hold_no_more()
            self._loop.call_soon_threadsafe(let_go.set)

    def close(self) -> None:
        """Stop and end the thread."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        v1_grpc.add_QueryServiceServicer_to_server(_V1(self), server)
        v2_grpc.add_QueryServiceServicer_to_server(_V2(self), server)
        admin = _Admin(self)
        _answer_each(self, admin, admin_pb2, "AdminService", frozenset({"GetStatus"}))
        admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
        for messages, rpc in _SCRIPTED:
            [name] = messages.DESCRIPTOR.services_by_name
            servicer = getattr(rpc, f"{name}Servicer")()
            _answer_each(self, servicer, messages, name, frozenset({"ExportTenant"}))
            if name == "TenantService":
                servicer.ExportTenant = _exporting(self)
            getattr(rpc, f"add_{name}Servicer_to_server")(servicer, server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        await self._set_ready(True)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server

    async def held(self) -> None:
        """Wait while searches are blocked."""
        if (let_go := self._let_go) is not None:
            self.arrived.release()
            await let_go.wait()

    async def receive(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Note what came, then delay or fail as the test wants."""
        self.metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        self.time_remaining = context.time_remaining()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        if self.failure is not None:
            await context.abort(self.failure, "refused by the test", (("x-request-id", REQUEST_ID),))

    def _run(self, coroutine: Any) -> None:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future.result(30)


class _V1(v1_grpc.QueryServiceServicer):
    def __init__(self, peer: WirePeer) -> None:
        self._peer = peer

    async def Query(self, request: v1.QueryRequest, context: Any) -> v1.QueryResponse:
        await self._peer.receive(context)
        return self._peer.query(request)


class _V2(v2_grpc.QueryServiceServicer):
    def __init__(self, peer: WirePeer) -> None:
        self._peer = peer

    async def Search(self, request: v2.SearchRequest, context: Any) -> v2.SearchResponse:
        await self._peer.receive(context)
        self._peer.asked.append(("Search", request))
        self._peer.asking = self._peer.metadata
        await self._peer.held()
        plain = v2.SearchResponse(passages=self._peer.passages, generation="g")
        found = self._peer.operations.get("Search", plain)
        response: v2.SearchResponse = found(request) if callable(found) else found
        return response

    async def ListSources(self, request: v2.ListSourcesRequest, context: Any) -> v2.ListSourcesResponse:
        await self._peer.receive(context)
        found: v2.ListSourcesResponse = self._peer.operations.get("AskableSources", v2.ListSourcesResponse())
        return found

    async def GetPage(self, request: v2.GetPageRequest, context: Any) -> v2.GetPageResponse:
        await self._peer.receive(context)
        self._peer.asked.append(("GetPage", request))
        found = self._peer.operations.get("GetPage")
        if isinstance(found, RagError):
            await context.abort(code_of(found), found.message, trailers(found, REQUEST_ID))
        response: v2.GetPageResponse = found
        return response

    async def Answer(self, request: v2.AnswerRequest, context: Any) -> AsyncIterator[v2.AnswerEvent]:
        await self._peer.receive(context)
        self._peer.asked.append(("Answer", request))
        self._peer.asking = self._peer.metadata
        for event in self._peer.answer:
            if event.HasField("final"):
                await self._peer.held()
            yield event


class _Admin(admin_pb2_grpc.AdminServiceServicer):
    def __init__(self, peer: WirePeer) -> None:
        self._peer = peer

    async def GetStatus(self, request: admin_pb2.GetStatusRequest, context: Any) -> admin_pb2.GetStatusResponse:
        await self._peer.receive(context)
        return self._peer.next_status.pop(0) if self._peer.next_status else self._peer.status


_SCRIPTED: tuple[tuple[Any, Any], ...] = (
    (access_pb2, access_pb2_grpc),
    (operations_pb2, operations_pb2_grpc),
    (deployments_pb2, deployments_pb2_grpc),
    (evaluation_pb2, evaluation_pb2_grpc),
    (curation_pb2, curation_pb2_grpc),
    (history_pb2, history_pb2_grpc),
    (sources_pb2, sources_pb2_grpc),
    (usage_pb2, usage_pb2_grpc),
    (webhooks_pb2, webhooks_pb2_grpc),
    (tenants_pb2, tenants_pb2_grpc),
    (documents_pb2, documents_pb2_grpc),
)
"""Files of one service each, all of whose methods but one answer what a test has scripted."""


def _exporting(peer: WirePeer) -> Callable[..., Any]:
    async def export(request: Any, context: Any) -> Any:
        await peer.receive(context)
        peer.asked.append(("ExportTenant", request))
        for piece in peer.operations.get("ExportTenant", ()):
            yield piece

    return export


def _answer_each(
    peer: WirePeer, servicer: Any, module: Any, service: str, without: frozenset[str] = frozenset()
) -> None:
    """Every method answers what `peer.operations` holds under its name, else an empty message."""
    for method in module.DESCRIPTOR.services_by_name[service].methods:
        if method.name not in without:
            setattr(servicer, method.name, _answering(peer, method.name, getattr(module, method.output_type.name)))


def _answering(peer: WirePeer, name: str, empty: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(request: Any, context: Any) -> Any:
        await peer.receive(context)
        peer.asked.append((name, request))
        if name == "WhoAmI":
            return empty(subject="ann", tenant="acme", scopes=peer.scopes)
        found = peer.operations.get(name, empty())
        return found(request) if callable(found) else found

    return answer


@dataclass
class Gateway:
    """A running Envoy and what stands behind it."""

    address: str
    peer: WirePeer
    probes: HTTPServer
    log: Path
    options: GatewayOptions
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=60, trust_env=False)

    def reset(self) -> None:
        """A peer that answers at once and fails nothing."""
        self.peer.delay_seconds = 0
        self.peer.failure = None
        self.peer.answer = []
        self.peer.operations, self.peer.asked, self.peer.passages = {}, [], []
        self.peer.scopes = ["admin", "platform.admin", "query.read"]
        self.peer.status, self.peer.next_status = admin_pb2.GetStatusResponse(), []
        self.probes.clear()


@contextmanager
def wire_peer() -> Iterator[WirePeer]:
    """A started peer on a free port."""
    peer = WirePeer()
    peer.start()
    try:
        yield peer
    finally:
        peer.close()


@contextmanager
def running_envoy(options: GatewayOptions, folder: Path, *, healthy: int | None = None) -> Iterator[str]:
    """Envoy with these options; yields its address once it sees `healthy` backends, by default all.

    Its log is in `folder`.
    """
    files = folder / "gateway"
    write_dynamic(options, files)
    command = [str(envoy_path()), *ENVOY_FLAGS, "-c", str(files / "bootstrap.yaml"), "--file-flush-interval-msec", "50"]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _await_healthy(
            f"http://127.0.0.1:{options.admin_port}", process, len(options.blue.query) if healthy is None else healthy
        )
        yield f"{options.listen.host}:{options.listen.port}"
    finally:
        process.terminate()
        process.wait(60)


def _await_healthy(admin: str, process: subprocess.Popen[bytes], members: int) -> None:
    wanted = {f"cluster.query-blue.membership_healthy: {members}", "listener_manager.workers_started: 1"}
    with httpx.Client(timeout=60, trust_env=False) as client:

        def healthy() -> bool:
            assert process.poll() is None, "Envoy ended while starting"
            try:
                stats = client.get(
                    f"{admin}/stats",
                    params={"filter": "query-blue.membership_healthy|listener_manager.workers_started"},
                )
            except httpx.TransportError:
                return False
            return wanted <= set(stats.text.splitlines())

        assert eventually(healthy), "Envoy never saw a healthy backend"


def gateway_options(query_port: int | None = None) -> GatewayOptions:
    """Options with small limits on free ports, without verification of tokens and limits of calls."""
    return GatewayOptions(
        listen=Endpoint("127.0.0.1", free_port()),
        admin_port=free_port(),
        sockets=runtime_folder(Path("tests")),
        blue=Backends((Endpoint("127.0.0.1", query_port or free_port()),), (Endpoint("127.0.0.1", free_port()),)),
        descriptors=Path(ragproto.__file__).parent / "descriptors.binpb",
        max_seconds=MAX_SECONDS,
        max_request_bytes=MAX_REQUEST_BYTES,
        limits=Limits(per_minute=0, per_hour=0, ip_per_minute=0, pages_per_minute=0),
    )


@contextmanager
def running_gateway(folder: Path, **changes: Any) -> Iterator[Gateway]:
    """Envoy, a scripted query server and its HTTP probes, all on free ports. `changes` are further options."""
    with wire_peer() as peer:
        options = replace(gateway_options(peer.port), **changes)
        probes = HTTPServer(host="127.0.0.1", port=options.blue.probes[0].port)
        probes.start()
        try:
            with running_envoy(options, folder) as address:
                gateway = Gateway(address, peer, probes, folder / "envoy.log", options)
                yield gateway
                gateway.http.close()
        finally:
            probes.stop()
