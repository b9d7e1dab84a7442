"""The way in: redirect, sign-in form, cookie, headers, and what is refused."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import grpc
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from console.connections import OpenSockets
from console.protection import Protection
from console.settings import ConsoleSettings
from console.sign_in import COOKIE, sign_in_routes
from tests.support.wire import wire_peer

FORM = {"name": "lin", "password": "correct horse battery"}


class _Broker(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline()
        self.server.asked.append(json.loads(line))  # type: ignore[attr-defined]
        good = b'"correct horse battery"' in line
        reason = "DATABASE_UNAVAILABLE" if b'"away"' in line else "SIGN_IN_FAILED"
        reply = {"token": "a.b.c", "expires_in": 60} if good else {"reason": reason}
        self.wfile.write(json.dumps(reply).encode() + b"\n")


@pytest.fixture
def asked() -> list[dict[str, str]]:
    """What the broker was sent."""
    return []


@pytest.fixture
def broker(tmp_path: Path, asked: list[dict[str, str]]) -> Iterator[Path]:
    path = tmp_path / "sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Broker) as server:
        server.asked = asked  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield path
        server.shutdown()
        thread.join(10)


def client_of(settings: ConsoleSettings) -> TestClient:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("page")

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("open")
        with suppress(WebSocketDisconnect):
            while True:
                await socket.send_text(await socket.receive_text())

    sockets = OpenSockets()
    routes = [*sign_in_routes(settings, sockets), WebSocketRoute("/_stcore/stream", stream),
              Route("/{path:path}", page, methods=["GET", "PUT", "POST"])]  # fmt: skip
    app = Starlette(routes=routes, middleware=[Middleware(Protection, settings=settings, sockets=sockets)])
    return TestClient(app, follow_redirects=False, client=("192.0.2.7", 40000))


def opens(client: TestClient, origin: str | None, host: str = "testserver") -> bool:
    """Whether a page of this origin may open a WebSocket."""
    headers = {"host": host} | ({"origin": origin} if origin is not None else {})
    try:
        with client.websocket_connect("/_stcore/stream", headers=headers) as socket:
            return socket.receive_text() == "open"
    except WebSocketDisconnect:
        return False


@pytest.fixture
def client(broker: Path) -> TestClient:
    return client_of(ConsoleSettings(sign_in="local", sign_in_socket=broker))


def test_a_visitor_without_a_session_is_led_to_the_form_in_their_language(client: TestClient) -> None:
    assert client.get("/").headers["location"] == "/sign-in"
    assert client.get("/_stcore/health").text == "page"
    assert "登录" in client.get("/sign-in", headers={"accept-language": "zh-CN"}).text


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(
    client: TestClient, asked: list[dict[str, str]]
) -> None:
    response = client.post("/sign-in", data={**FORM, "code": "123 456"})
    assert asked == [{**FORM, "code": "123 456", "address": "192.0.2.7"}]
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"{COOKIE}=a.b.c")
    assert {"httponly", "samesite=strict", "max-age=60"} <= {part.strip() for part in cookie.split(";")}
    assert client.get("/sources").text == "page"
    assert "max-age=0" in client.get("/sign-out").headers["set-cookie"].lower()


@pytest.mark.parametrize(("password", "status", "wrong"), [("away", 503, False), ("guess", 401, True)])
def test_only_a_wrong_password_is_called_wrong(client: TestClient, password: str, status: int, wrong: bool) -> None:
    response = client.post("/sign-in", data={**FORM, "password": password})
    assert response.status_code == status
    assert ("Name, password or code is wrong." in response.text) is wrong
    assert ("Sign-in does not work at the moment. Try again in a minute." in response.text) is not wrong


def test_a_link_to_a_page_survives_the_sign_in_also_a_wrong_password(client: TestClient) -> None:
    page = "/documents?doc=6ba7b810&q=a%26b+c%22"
    form = client.get(page).headers["location"]
    assert f'action="{form}"'.replace("&", "&amp;") in client.get(form).text
    wrong = client.post(form, data={**FORM, "password": "wrong"})
    assert f'action="{form}"'.replace("&", "&amp;") in wrong.text
    assert client.post(form, data=FORM).headers["location"] == page


@pytest.mark.parametrize(
    "page",
    ["//attacker.example", "https://attacker.example/", "/\\attacker.example", "/a/../b", "/x?\r\nset-cookie: a=b",
     "javascript:alert(1)", "/?" + "x" * 5000, "/sign-out", "documents", "/<script>"],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_but_to_a_page_of_the_console(client: TestClient, page: str) -> None:
    form = client.get("/sign-in", params={"next": page})
    assert 'action="/sign-in"' in form.text
    response = client.post("/sign-in", params={"next": page}, data=FORM)
    assert (response.status_code, response.headers["location"]) == (303, "/")


def test_a_wrong_password_is_said_and_nothing_of_it_is_repeated(client: TestClient) -> None:
    response = client.post("/sign-in", data={"name": "<script>alert(1)</script>", "password": "wrong"})
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "Name, password or code is wrong." in response.text
    assert "alert(1)" not in response.text


def test_another_site_cannot_sign_a_visitor_in(client: TestClient) -> None:
    assert client.post("/sign-in", data=FORM, headers={"origin": "http://attacker.example"}).status_code == 403
    assert client.post("/sign-in", data=FORM, headers={"origin": "http://testserver"}).status_code == 303


@pytest.mark.parametrize("sign_in", ["local", "oidc", "none"])
def test_only_a_page_of_a_configured_origin_opens_a_websocket(sign_in: Literal["local", "oidc", "none"]) -> None:
    client = client_of(ConsoleSettings(sign_in=sign_in, origins="https://console.example, http://other.example:8501/"))
    client.cookies.set(COOKIE, "a.b.c")
    assert opens(client, "https://console.example")
    assert opens(client, "http://other.example:8501")
    for origin in (None, "null", "", "http://console.example", "https://console.example:8501", "https://testserver",
                   "http://testserver", "http://localhost", "http://127.0.0.1:8501", "https://console.example.attacker.example",
                   "http://other.example"):  # fmt: skip
        assert not opens(client, origin), origin


def test_without_configured_origins_only_the_host_that_is_asked_opens_a_websocket(client: TestClient) -> None:
    client.post("/sign-in", data=FORM)
    assert opens(client, "http://testserver")
    assert opens(client, "https://127.0.0.1:8501", host="127.0.0.1:8501")
    # Streamlit by itself lets every page of this machine in, whatever its port.
    for origin in (
        "http://localhost:9999",
        "http://127.0.0.1:9999",
        "http://attacker.example",
        "ws://testserver",
        None,
    ):
        assert not opens(client, origin, host="testserver"), origin


def test_where_nobody_signs_in_a_name_that_points_here_opens_no_websocket() -> None:
    client = client_of(ConsoleSettings(sign_in="none"))
    assert not opens(client, "http://rebound.example:8501", host="rebound.example:8501")
    for host in ("localhost:8501", "127.0.0.1:8501", "[::1]:8501"):
        assert opens(client, f"http://{host}", host=host), host


def test_a_visitor_without_a_session_opens_no_websocket(client: TestClient) -> None:
    assert not opens(client, "http://testserver")


@pytest.mark.parametrize("failure", [None, grpc.StatusCode.UNAVAILABLE])
def test_signing_out_ends_the_token_and_every_websocket_of_the_session(
    broker: Path, failure: grpc.StatusCode | None
) -> None:
    with wire_peer() as peer:
        settings = ConsoleSettings(sign_in="local", sign_in_socket=broker, query_address=f"127.0.0.1:{peer.port}")
        client = client_of(settings)
        client.post("/sign-in", data=FORM)
        copied, other = dict(client.cookies), {COOKIE: "d.e.f"}
        origin = {"origin": "http://testserver"}
        peer.failure = failure
        with (
            client.websocket_connect("/_stcore/stream", headers=origin) as first,
            client.websocket_connect("/_stcore/stream", headers=origin) as second,
        ):
            client.cookies = other  # type: ignore[assignment]
            with client.websocket_connect("/_stcore/stream", headers=origin) as stranger:
                for socket in (first, second, stranger):
                    assert socket.receive_text() == "open"
                client.cookies = copied  # type: ignore[assignment]
                left = client.get("/sign-out", headers={"cookie": f"{COOKIE}=a.b.c"})
                for socket in (first, second):
                    with pytest.raises(WebSocketDisconnect):
                        socket.receive_text()
                stranger.send_text("still here")
                assert stranger.receive_text() == "still here"
        assert "max-age=0" in left.headers["set-cookie"].lower()
        if failure is None:
            assert left.status_code == 303
            assert [name for name, _ in peer.asked] == ["SignOut"]
            assert peer.metadata["authorization"] == "Bearer a.b.c"
        else:
            assert left.status_code == 503
            assert "in this browser only" in left.text


def test_the_broker_learns_the_address_of_the_connection_and_of_trusted_proxies(
    broker: Path, asked: list[dict[str, str]]
) -> None:
    forged = {"x-forwarded-for": "203.0.113.1, 198.51.100.2"}
    for hops in (0, 1, 2, 3):
        settings = ConsoleSettings(sign_in="local", sign_in_socket=broker, trusted_hops=hops)
        client_of(settings).post("/sign-in", data=FORM, headers=forged)
    assert [item["address"] for item in asked] == ["192.0.2.7", "198.51.100.2", "203.0.113.1", "192.0.2.7"]


def test_a_form_that_is_too_large_is_not_read_to_its_end(client: TestClient) -> None:
    assert client.post("/sign-in", data={"name": "x" * 10_000}).status_code == 413


def test_a_form_with_many_fields_is_refused_like_a_wrong_password(client: TestClient) -> None:
    response = client.post("/sign-in", data=FORM | {f"field-{number}": "x" for number in range(20)})
    assert response.status_code == 400
    assert "Name, password or code is wrong." in response.text


def test_without_the_broker_nobody_comes_in_and_the_page_says_so(tmp_path: Path) -> None:
    lonely = client_of(ConsoleSettings(sign_in="local", sign_in_socket=tmp_path / "absent"))
    response = lonely.post("/sign-in", data=FORM)
    assert response.status_code == 503
    assert "does not work at the moment" in response.text


@pytest.mark.catalogue("S35")
def test_every_answer_forbids_what_comes_from_elsewhere(client: TestClient) -> None:
    for path in ("/sign-in", "/sources", "/_stcore/health"):
        headers = client.get(path).headers
        assert "img-src 'self' data: blob:" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


@pytest.mark.catalogue("S36")
@pytest.mark.parametrize("name", ["big.bin", "page.html", "..%2f..%2fetc%2fpasswd"])
def test_files_of_who_has_not_signed_in_are_refused_whatever_they_are_called(client: TestClient, name: str) -> None:
    response = client.put(f"/_stcore/upload_file/session/{name}", content=b"x" * 1024)
    assert (response.status_code, response.text) == (403, "sign in to upload files")
    client.post("/sign-in", data=FORM)
    assert client.put("/_stcore/upload_file/session/a.md", content=b"x").text == "page"


def test_other_ways_to_sign_in_have_no_form() -> None:
    assert sign_in_routes(ConsoleSettings(sign_in="oidc"), OpenSockets()) == []
    assert client_of(ConsoleSettings(sign_in="none")).get("/sources").text == "page"
