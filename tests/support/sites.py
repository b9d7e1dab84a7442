"""A site or API on a real local server whose answers tests change while it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import stamina
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.http_client import AddressRules, FetchPolicy
from rag_core.http_client.policy import FetchLimits

Answer = Callable[[Request], Response]
POLICY = FetchPolicy(
    AddressRules.parse(["127.0.0.0/8", "::1/128"]), (range(1, 65_536),), limits=FetchLimits(seconds=10)
)
"""What a source may reach in tests: this machine on any port."""


@dataclass
class Site:
    """`answers` by path; a path without one is 404. `asked` records path and query of every request."""

    server: HTTPServer
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    fallback: Callable[[Request], Response | None] = lambda _: None
    """Answers the paths that `answers` does not name; `None` is 404."""

    def __post_init__(self) -> None:
        self.server.expect_request(re.compile("^/.*")).respond_with_handler(self._answer)

    def url(self, path: str = "/") -> str:
        return self.server.url_for(path)

    def page(self, path: str, body: str, *, links: list[str] | None = None, head: str = "", **headers: str) -> None:
        """An HTML page with links."""
        anchors = "".join(f'<a href="{link}">x</a>' for link in links or [])
        html = f"<html><head>{head}</head><body><main><p>{body}</p></main><nav>{anchors}</nav></body></html>"
        self.answers[path] = _with_etag(html.encode(), "text/html; charset=utf-8", headers)

    def raw(
        self, path: str, content: bytes | str, media_type: str = "text/plain", status: int = 200, **headers: str
    ) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda _: Response(content, status, named, content_type=media_type)

    def status(self, path: str, status: int, **headers: str) -> None:
        self.raw(path, "", status=status, **headers)

    def json(self, path: str, value: Any) -> None:
        self.raw(path, json.dumps(value), "application/json")

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.full_path.rstrip("?"))
        self.requests.append(request)
        answer = self.answers.get(request.path)
        found = answer(request) if answer is not None else self.fallback(request)
        return found if found is not None else Response("not here", 404)


def _with_etag(content: bytes, media_type: str, headers: dict[str, str]) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(request: Request) -> Response:
        etag = named.get("etag")
        if etag is not None and request.headers.get("If-None-Match") == etag:
            return Response(status=304)
        return Response(content, 200, named, content_type=media_type)

    return answer


def json_answer(value: Any, **headers: str) -> Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(json.dumps(value), 200, named, content_type="application/json")


@pytest.fixture(name="site")
def served_site(httpserver: HTTPServer) -> Iterator[Site]:
    """The site of a test, which may stop it. Retries do not wait, unless the test says so."""
    with stamina.set_testing(True, attempts=2, cap=True):
        yield Site(httpserver)
    if not httpserver.is_running():
        httpserver.start()
