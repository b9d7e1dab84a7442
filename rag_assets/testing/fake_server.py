"""A real HTTP server on this machine whose answers a test chooses while it runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from rag_core.http_client import AddressRules, FetchLimits, FetchPolicy

LOOPBACK = FetchPolicy(
    AddressRules.parse(["127.0.0.0/8", "::1/128"]), (range(1, 65_536),), limits=FetchLimits(seconds=10)
)
"""Destinations that a source may reach in tests: this machine on any port."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. Names of headers are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        """A JSON document. A header `retry-after` is written `retry_after`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(json.dumps(value).encode(), status, {"content-type": "application/json", **named})


Reply = Callable[[Asked], Answer]


class FakeServer:
    """Answers 404 until it is said what else. `requests` are all that came, in order. A context manager."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self._replies: dict[str, Reply] = {}
        self._prefixes: dict[str, Reply] = {}
        self._failures: list[tuple[str, Answer]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def url(self, path: str = "") -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def json(self, path: str, value: Any) -> None:
        """Answer a path with a JSON document."""
        self.reply(path, lambda _: Answer.json(value))

    def reply(self, path: str, reply: Reply) -> None:
        """Answer a path by a function; a path that ends in `*` stands for all that begin so."""
        if path.endswith("*"):
            self._prefixes[path[:-1]] = reply
        else:
            self._replies[path] = reply

    def fail(self, path: str, *answers: Answer) -> None:
        """Give these answers first, one to a request, before the path is answered as it should be."""
        self._failures += [(path, answer) for answer in answers]

    def lose(self, status: int = 500) -> None:
        """Answer everything with an error from now on."""
        self._replies, self._prefixes = {}, {"/": lambda _: Answer(status=status)}

    def close(self) -> None:
        """Stop it. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answer(self, asked: Asked) -> Answer:
        """Return the answer to a request."""
        with self._lock:
            self.requests.append(asked)
            for number, (path, answer) in enumerate(self._failures):
                if path == asked.path:
                    del self._failures[number]
                    return answer
        reply = self._replies.get(asked.path)
        if reply is None:
            longest = max((prefix for prefix in self._prefixes if asked.path.startswith(prefix)), key=len, default=None)
            reply = self._prefixes[longest] if longest is not None else None
        return reply(asked) if reply is not None else Answer(status=404)


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or the body waits 40 ms for the ACK of its headers

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
            found = server.answer(asked)
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PROPFIND = _serve  # noqa: N815 - the names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    return Handler
