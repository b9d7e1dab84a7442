"""The fetcher against real servers."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.errors import DeadlineExceeded, InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import FetchPolicy
from tests.unit.rag_core.foundation.http_client.conftest import ANY_PORT, LOOPBACK, Open


@contextmanager
def raw_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that says what `talk` sends, whatever it is; `stop` is set at the end."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65_536)
                        talk(connection, stop)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def drip(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(head)
        while not stop.wait(0.02):
            connection.sendall(b"x")

    return talk


def fails(open_fetcher: Open, url: str, error: type[RagError], **limits: float) -> Reason:
    with pytest.raises(error) as caught:
        open_fetcher(**limits).get(url)
    return caught.value.reason


def test_an_answer_comes_with_its_state_headers_and_body(open_fetcher: Open, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data("text", content_type="Text/Plain; charset=utf-8")
    fetched = open_fetcher().get(httpserver.url_for("/a"))
    assert (fetched.status, fetched.content, fetched.media_type) == (200, b"text", "text/plain")


def test_the_name_stays_in_the_request_while_the_socket_gets_the_checked_address(
    open_fetcher: Open, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/").respond_with_handler(lambda request: Response(request.headers["Host"]))
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    fetcher = open_fetcher(resolver=resolver)
    url = f"http://docs.example:{httpserver.port}/"
    assert fetcher.get(url).content == f"docs.example:{httpserver.port}".encode()
    assert asked == ["docs.example"]


@pytest.mark.catalogue("B56")
@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-a: "],
    ids=["endless", "length", "headers"],
)
def test_a_body_of_one_byte_now_and_then_ends_at_the_deadline(open_fetcher: Open, head: bytes) -> None:
    with raw_server(drip(head)) as url:
        assert fails(open_fetcher, url, DeadlineExceeded, seconds=0.4) is Reason.RESPONSE_TIMEOUT


@pytest.mark.catalogue("B56")
def test_a_server_that_says_nothing_ends_at_the_deadline(open_fetcher: Open) -> None:
    with raw_server(lambda connection, stop: stop.wait(5) and None) as url:
        assert fails(open_fetcher, url, DeadlineExceeded, seconds=0.3) is Reason.RESPONSE_TIMEOUT


@pytest.mark.catalogue("B56")
def test_an_endless_body_is_cut_at_the_limit(open_fetcher: Open) -> None:
    def flood(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.is_set():
            connection.sendall(b"x" * 65_536)

    with raw_server(flood) as url:
        assert fails(open_fetcher, url, InvalidInput, wire_bytes=1_000_000) is Reason.RESPONSE_TOO_LARGE


@pytest.mark.catalogue("B56")
def test_a_length_that_is_not_kept_is_a_broken_answer(open_fetcher: Open) -> None:
    with raw_server(lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")) as url:
        assert fails(open_fetcher, url, Unavailable) is Reason.HOST_UNREACHABLE


@pytest.mark.catalogue("B56")
def test_an_announced_length_above_the_limit_is_not_read(open_fetcher: Open) -> None:
    with raw_server(lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")) as url:
        assert fails(open_fetcher, url, InvalidInput) is Reason.RESPONSE_TOO_LARGE


@pytest.mark.catalogue("B56")
def test_a_gzip_bomb_is_not_inflated_beyond_the_limit(open_fetcher: Open, httpserver: HTTPServer) -> None:
    bomb = gzip.compress(b"\0" * 8_000_000)
    httpserver.expect_request("/").respond_with_data(bomb, headers={"content-encoding": "gzip"})
    assert fails(open_fetcher, httpserver.url_for("/"), InvalidInput, decoded_bytes=1_000_000) is (
        Reason.RESPONSE_TOO_LARGE
    )


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"hello" * 1000)),
        ("x-gzip", gzip.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000)[2:-4]),
        ("identity", b"hello" * 1000),
    ],
    ids=["gzip", "x-gzip", "deflate", "raw-deflate", "identity"],
)
def test_compressed_answers_are_inflated(
    open_fetcher: Open, httpserver: HTTPServer, encoding: str, body: bytes
) -> None:
    httpserver.expect_request("/").respond_with_data(body, headers={"content-encoding": encoding})
    assert open_fetcher().get(httpserver.url_for("/")).content == b"hello" * 1000


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("br", b"x", InvalidInput),
        ("gzip, gzip", b"x", InvalidInput),
        ("gzip", b"not gzip", InvalidInput),
        ("gzip", gzip.compress(b"hello" * 1000)[:-10], Unavailable),
    ],
    ids=["unknown", "twice", "not gzip", "cut short"],
)
def test_an_answer_that_is_not_compressed_as_it_says_is_refused(
    open_fetcher: Open, httpserver: HTTPServer, encoding: str, body: bytes, error: type[RagError]
) -> None:
    httpserver.expect_request("/").respond_with_data(body, headers={"content-encoding": encoding})
    assert fails(open_fetcher, httpserver.url_for("/"), error) is Reason.RESPONSE_INVALID


def redirect(server: HTTPServer, path: str, to: str, status: int = 302) -> None:
    server.expect_request(path).respond_with_data("", status=status, headers={"location": to})


def test_redirects_are_followed_and_told(open_fetcher: Open, httpserver: HTTPServer) -> None:
    redirect(httpserver, "/a", "/b", 301)
    redirect(httpserver, "/b", "c?x=1", 308)
    httpserver.expect_request("/c").respond_with_data("end")
    fetched = open_fetcher().get(httpserver.url_for("/a"))
    assert (fetched.url, fetched.content, fetched.moved) == (httpserver.url_for("/c?x=1"), b"end", True)
    assert fetched.redirects == (httpserver.url_for("/a"), httpserver.url_for("/b"))


@pytest.mark.catalogue("B58")
def test_a_chain_of_fifty_redirects_is_cut(open_fetcher: Open, httpserver: HTTPServer) -> None:
    for number in range(50):
        redirect(httpserver, f"/{number}", f"/{number + 1}")
    assert fails(open_fetcher, httpserver.url_for("/0"), InvalidInput) is Reason.REDIRECT_LIMIT
    assert len(httpserver.log) == 6


@pytest.mark.catalogue("B58")
def test_a_redirect_in_a_circle_is_cut(open_fetcher: Open, httpserver: HTTPServer) -> None:
    redirect(httpserver, "/a", "/b")
    redirect(httpserver, "/b", "/a")
    assert fails(open_fetcher, httpserver.url_for("/a"), InvalidInput) is Reason.REDIRECT_LIMIT


@pytest.mark.catalogue("B58", "S22")
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://10.0.0.1/", Reason.SSRF_BLOCKED),
        ("http://169.254.169.254/latest/meta-data/", Reason.SSRF_BLOCKED),
        ("http://[::1]/", Reason.SSRF_BLOCKED),
        ("http://10.0.0.1:22/", Reason.URL_PORT),
        ("file:///etc/passwd", Reason.URL_SCHEME),
        ("http://user:pass@other.example/", Reason.URL_INVALID),
    ],
)
def test_a_redirect_to_a_private_place_is_blocked(
    open_fetcher: Open, httpserver: HTTPServer, target: str, reason: Reason
) -> None:
    redirect(httpserver, "/", target)
    policy = FetchPolicy(LOOPBACK, (range(80, 81), range(httpserver.port, httpserver.port + 1)))
    with pytest.raises(InvalidInput) as caught:
        open_fetcher(policy=policy).get(httpserver.url_for("/"))
    assert caught.value.reason is reason


@pytest.mark.catalogue("B58", "S22")
def test_credentials_stay_with_their_origin(open_fetcher: Open, httpserver: HTTPServer) -> None:
    redirect(httpserver, "/same", "/end")
    redirect(httpserver, "/other", f"http://other.example:{httpserver.port}/end")
    redirect(httpserver, "/back", f"http://other.example:{httpserver.port}/return")
    redirect(httpserver, "/return", httpserver.url_for("/end"))
    seen: list[tuple[str | None, str | None]] = []

    def end(request: Request) -> Response:
        seen.append((request.headers.get("Authorization"), request.headers.get("X-Plain")))
        return Response("end")

    httpserver.expect_request("/end").respond_with_handler(end)
    fetcher = open_fetcher(resolver=lambda host, port: ["127.0.0.1"])
    secret, plain = {"authorization": "Bearer key"}, {"x-plain": "yes"}
    for path in ("/same", "/other"):
        fetcher.get(httpserver.url_for(path), headers=plain, credentials=secret)
    assert seen == [("Bearer key", "yes"), (None, "yes")]


@pytest.mark.catalogue("B58")
def test_a_redirect_to_another_origin_is_refused_when_only_the_same_is_allowed(
    open_fetcher: Open, httpserver: HTTPServer
) -> None:
    redirect(httpserver, "/", f"http://other.example:{httpserver.port}/")
    with pytest.raises(InvalidInput) as caught:
        open_fetcher().get(httpserver.url_for("/"), redirects="same_origin")
    assert caught.value.reason is Reason.CROSS_ORIGIN


@pytest.mark.catalogue("B58")
def test_a_redirect_from_https_to_http_is_refused(open_fetcher: Open) -> None:
    import httpx

    fetcher = open_fetcher(policy=FetchPolicy(ports=ANY_PORT))
    with pytest.raises(InvalidInput) as caught:
        fetcher._next(httpx.URL("https://a.example/"), "http://a.example/", ["https://a.example/"], "follow")
    assert caught.value.reason is Reason.URL_SCHEME


def test_cookies_are_not_kept(open_fetcher: Open, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/set").respond_with_data("", headers={"set-cookie": "session=1"})
    httpserver.expect_request("/get").respond_with_handler(lambda request: Response(request.headers.get("Cookie", "-")))
    fetcher = open_fetcher()
    fetcher.get(httpserver.url_for("/set"))
    assert fetcher.get(httpserver.url_for("/get")).content == b"-"


def test_a_refused_connection_is_unavailable(open_fetcher: Open, free_tcp_port: int) -> None:
    assert fails(open_fetcher, f"http://127.0.0.1:{free_tcp_port}/", Unavailable) is Reason.HOST_UNREACHABLE


def test_a_name_that_does_not_resolve_is_unavailable(open_fetcher: Open) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "unknown")

    with pytest.raises(Unavailable) as caught:
        open_fetcher(resolver=unknown).get("http://nowhere.example/")
    assert caught.value.reason is Reason.HOST_UNREACHABLE


def test_a_resolver_that_hangs_ends_at_the_deadline(open_fetcher: Open) -> None:
    done = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        done.wait(20)
        return []

    with pytest.raises(DeadlineExceeded):
        open_fetcher(resolver=hang, seconds=0.2).get("http://slow.example/")
    done.set()
