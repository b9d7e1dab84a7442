"""Query servers of a pod without a model and without a database: they answer with the name of their image."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc

LONG, LONG_SECONDS = "a long call", 14.0
"""Longer than a gateway that ends continues to be found."""
_SECONDS = 0.1
_SERVICES = ("", "ragproto.query.v2.QueryService")
"""What the health service knows: the process, and whether it can answer."""


class QueryStandIn(v1_grpc.QueryServiceServicer, v2_grpc.QueryServiceServicer):
    """The interface that gateway and deployer see, at a pod's own address."""

    def __init__(self, address: str, image: str) -> None:
        self.passages = [v2.Passage(source="handbook", locator="leave.md", text="# Leave\n\nThirty days a year.")]
        self._image, self._registry = image, CollectorRegistry()
        self._calls = Counter("rag_server_requests", "Calls.", ("method", "code"), registry=self._registry)
        self._seconds = Histogram("rag_server_request_seconds", "Time.", ("method",), registry=self._registry)
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        v1_grpc.add_QueryServiceServicer_to_server(self, self._server)
        v2_grpc.add_QueryServiceServicer_to_server(self, self._server)
        self._health = health.HealthServicer()
        for service in _SERVICES:
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_insecure_port(f"{address}:50051")
        self._http = ThreadingHTTPServer((address, 9464), self._pages())
        self._ready = True
        self._server.start()
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def drain(self) -> None:
        """As the server does at SIGTERM: not ready, then no new calls, then the end of those in flight."""
        self._ready = False
        for service in _SERVICES:
            self._health.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        threading.Event().wait(3)
        self._server.stop(15).wait()
        self._http.shutdown()
        self._http.server_close()

    def Query(self, request: v1.QueryRequest, context: grpc.ServicerContext) -> v1.QueryResponse:
        with self._counted("/ragproto.query.v1.QueryService/Query"):
            threading.Event().wait(_SECONDS)
            return v1.QueryResponse(answer=self._image)

    def Search(self, request: v2.SearchRequest, context: grpc.ServicerContext) -> v2.SearchResponse:
        with self._counted("/ragproto.query.v2.QueryService/Search"):
            return v2.SearchResponse(passages=self.passages)

    def Answer(self, request: v2.AnswerRequest, context: grpc.ServicerContext) -> Iterator[v2.AnswerEvent]:
        with self._counted("/ragproto.query.v2.QueryService/Answer"):
            if request.query == LONG:
                threading.Event().wait(LONG_SECONDS)
                yield v2.AnswerEvent(delta=v2.AnswerDelta(text=self._image))
            citations = [v2.Citation(number=1, source=one.source, locator=one.locator) for one in self.passages[:1]]
            yield v2.AnswerEvent(final=v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=citations)))

    @contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        """Counts a call when it ends, as the server does."""
        with self._seconds.labels(method).time():
            yield
        self._calls.labels(method, "OK").inc()

    def _pages(self) -> type[BaseHTTPRequestHandler]:
        known = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = generate_latest(known._registry) if self.path == "/metrics" else b"{}"
                self.send_response(200 if known._ready or self.path != "/ready" else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # who asked has no more patience on a busy machine
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
                return

        return Handler
