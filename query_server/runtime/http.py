"""GET /metrics, /health and /ready over HTTP, from a thread of its own so that a busy loop cannot hide them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from query_server.runtime.readiness import Readiness
from rag_core.errors import Conflict, Reason

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_SOCKET_SECONDS = 10


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = _SOCKET_SECONDS  # a client that opens a connection and sends nothing must not keep its thread

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        return

    def version_string(self) -> str:
        return "rag-platform"


class HttpServer:
    """Serves the three pages. `readiness` is called from the server's threads."""

    def __init__(
        self, address: str, port: int, registry: CollectorRegistry, readiness: Callable[[], Readiness]
    ) -> None:
        """Bind now. Raises `Conflict` (`PORT_TAKEN`)."""
        self._metrics = make_wsgi_app(registry)
        self._readiness = readiness
        try:
            self._server = make_server(address, port, self._route, _Server, _QuietHandler)
        except OSError:
            raise Conflict(Reason.PORT_TAKEN, f"port {port} is taken (RAG_METRICS_PORT)") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop and release the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _route(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _json(start_response, "405 Method Not Allowed", {"error": "only GET"})
        if path == "/metrics":
            pages: Iterable[bytes] = self._metrics(environ, start_response)
            return pages
        if path == "/health":
            return _json(start_response, "200 OK", {"status": "alive"})
        if path == "/ready":
            return self._ready(start_response)
        return _json(start_response, "404 Not Found", {"error": "try /metrics, /health or /ready"})

    def _ready(self, start_response: StartResponse) -> Iterable[bytes]:
        state = self._readiness()
        body = {
            "ready": state.ready,
            "reasons": list(state.reasons),
            "degraded": list(state.degraded),
            "generation": state.generation,
        }
        return _json(start_response, "200 OK" if state.ready else "503 Service Unavailable", body)


def _json(start_response: StartResponse, status: str, body: dict[str, object]) -> Iterable[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]
