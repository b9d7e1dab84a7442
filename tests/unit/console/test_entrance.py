"""The way in: redirect, sign-in form, cookie, headers, and what is refused."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from console.protection import Protection
from console.settings import ConsoleSettings
from console.sign_in import COOKIE, sign_in_routes

FORM = {"name": "lin", "password": "correct horse battery"}


class _Broker(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        good = b'"correct horse battery"' in self.rfile.readline()
        self.wfile.write(b'{"token": "a.b.c", "expires_in": 60}\n' if good else b'{"reason": "SIGN_IN_FAILED"}\n')


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Broker) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield path
        server.shutdown()
        thread.join(10)


def client_of(settings: ConsoleSettings) -> TestClient:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    routes = [*sign_in_routes(settings), Route("/{path:path}", page, methods=["GET", "PUT", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Protection, settings=settings)])
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def client(broker: Path) -> TestClient:
    return client_of(ConsoleSettings(sign_in="local", sign_in_socket=broker))


def test_a_visitor_without_a_session_is_led_to_the_form_in_their_language(client: TestClient) -> None:
    assert client.get("/sources").headers["location"] == "/sign-in"
    assert client.get("/_stcore/health").text == "page"
    assert "登录" in client.get("/sign-in", headers={"accept-language": "zh-CN"}).text


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(client: TestClient) -> None:
    response = client.post("/sign-in", data=FORM)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=a.b.c")
    assert {"httponly", "samesite=strict", "max-age=60"} <= {part.strip() for part in cookie.split(";")}
    assert client.get("/sources").text == "page"
    assert "max-age=0" in client.get("/sign-out").headers["set-cookie"].lower()


def test_a_wrong_password_is_said_and_nothing_of_it_is_repeated(client: TestClient) -> None:
    response = client.post("/sign-in", data={"name": "<script>alert(1)</script>", "password": "wrong"})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "Name or password is wrong." in response.text
    assert "alert(1)" not in response.text


def test_another_site_cannot_sign_a_visitor_in(client: TestClient) -> None:
    assert client.post("/sign-in", data=FORM, headers={"origin": "http://attacker.example"}).status_code == 403
    assert client.post("/sign-in", data=FORM, headers={"origin": "http://testserver"}).status_code == 303


def test_a_form_that_is_too_large_is_not_read_to_its_end(client: TestClient) -> None:
    assert client.post("/sign-in", data={"name": "x" * 10_000}).status_code == 413


def test_a_form_with_many_fields_is_refused_like_a_wrong_password(client: TestClient) -> None:
    response = client.post("/sign-in", data=FORM | {f"field-{number}": "x" for number in range(20)})
    assert response.status_code == 400
    assert "Name or password is wrong." in response.text


def test_without_the_broker_nobody_comes_in_and_the_page_says_so(tmp_path: Path) -> None:
    lonely = client_of(ConsoleSettings(sign_in="local", sign_in_socket=tmp_path / "absent"))
    response = lonely.post("/sign-in", data=FORM)
    assert response.status_code == 401
    assert "does not answer" in response.text


def test_s35_every_answer_forbids_what_comes_from_elsewhere(client: TestClient) -> None:
    for path in ("/sign-in", "/sources", "/_stcore/health"):
        headers = client.get(path).headers
        assert "img-src 'self' data: blob:" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("name", ["big.bin", "page.html", "..%2f..%2fetc%2fpasswd"])
def test_s36_files_are_refused_whatever_they_are_called(client: TestClient, name: str) -> None:
    response = client.put(f"/_stcore/upload_file/session/{name}", content=b"x" * 1024)
    assert (response.status_code, response.text) == (403, "the console takes no files")


def test_other_ways_to_sign_in_have_no_form() -> None:
    assert sign_in_routes(ConsoleSettings(sign_in="oidc")) == []
    assert client_of(ConsoleSettings(sign_in="none")).get("/sources").text == "page"
