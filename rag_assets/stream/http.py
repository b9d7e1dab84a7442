"""/metrics, /health and /live of a worker over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings

Start = Callable[..., Any]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Probes come every second and say nothing."""


class MetricsServer:
    """Serves from a thread of its own. Port 0 takes a free one.

    `GET /health` answers 503 while a stream is halted, and says `degraded` while one waits for something outside. `GET
    /live` answers 200 as long as the process works: a restart mends neither.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry, status: Callable[[], dict[str, Any]]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._status = status
        try:
            self._server: WSGIServer = make_server(
                settings.host, settings.stream_metrics_port, self._answer, handler_class=_Quiet
            )
        except OSError:
            raise Conflict(
                Reason.PORT_TAKEN, f"port {settings.stream_metrics_port} is taken (RAG_STREAM_METRICS_PORT)"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if environ.get("PATH_INFO") not in ("/health", "/live"):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /health, /live\n"]
        streams = self._status()
        status = summary(streams)
        halted = status == "halted" and environ["PATH_INFO"] == "/health"
        start("503 Service Unavailable" if halted else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"status": status, "streams": streams}).encode()]


def summary(streams: Mapping[str, Mapping[str, Any]]) -> str:
    """`halted` when one waits for an operator, `degraded` when one waits for something outside, else `ok`."""
    states = [str(stream.get("state", "")) for stream in streams.values()]
    if any(state.startswith(("halted", "failed")) for state in states):
        return "halted"
    return "degraded" if any(state.startswith("waiting") for state in states) else "ok"
