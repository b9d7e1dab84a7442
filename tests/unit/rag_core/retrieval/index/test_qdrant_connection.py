"""What is wrong with the way to a Qdrant server is said in words that tell what to set. Real sockets, real TLS.
Requests of one search to a Qdrant server, one after the other: they cap what a query server can answer."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from qdrant_client import grpc as api
from structlog.testing import capture_logs

from rag_core.errors import ConfigError, RagError, Reason, Unavailable
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.nodes import Node, _warn_of_key_in_clear
from rag_core.settings import Settings
from ragctl.local_stack.display import Silent
from ragctl.local_stack.up import start_stack
from tests.support.certificates import self_signed
from tests.support.index_points import SPEC, document, request
from tests.support.qdrant_server import Door, StandIn


class _Health(api.QdrantServicer):
    """Only says its version: every other call is one of an unknown service."""

    def __init__(self, key: str | None = None) -> None:
        self.key = key

    def HealthCheck(self, request: Any, context: grpc.ServicerContext) -> Any:
        given = dict(context.invocation_metadata()).get("api-key")
        if self.key is not None and given != self.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT")
        return api.HealthCheckReply(title="qdrant", version="1.18.0")


@contextmanager
def serving(credentials: grpc.ServerCredentials | None = None, key: str | None = None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    api.add_QdrantServicer_to_server(_Health(key), server)
    address = "127.0.0.1:0"
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    server.start()
    yield port
    server.stop(None).wait()


@contextmanager
def http() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def refused(url: str, key: str | None = None, **tls: bytes) -> RagError:
    index = QdrantIndex.connect(url, key, 5, tls=tls)
    with pytest.raises(RagError) as caught:
        index.alias()
    index.close()
    return caught.value


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[bytes, bytes]:
    certificate_file, key_file = self_signed(tmp_path)
    return certificate_file.read_bytes(), key_file.read_bytes()


def test_nobody_there() -> None:
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        error = refused(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert error.reason is Reason.INDEX_UNAVAILABLE
    assert "nobody listens there" in error.message


def test_a_port_that_speaks_http_1() -> None:
    with http() as port:
        assert "gRPC port" in refused(f"http://127.0.0.1:{port}").message


def test_tls_against_a_server_without() -> None:
    with serving() as port:
        assert "use http://" in refused(f"https://127.0.0.1:{port}").message


def test_plain_text_against_a_server_with_tls(certificate: tuple[bytes, bytes]) -> None:
    chain, key = certificate
    with serving(grpc.ssl_server_credentials([(key, chain)])) as port:
        assert "https://" in refused(f"http://127.0.0.1:{port}").message


def test_a_private_authority_has_to_be_named(certificate: tuple[bytes, bytes]) -> None:
    chain, key = certificate
    with serving(grpc.ssl_server_credentials([(key, chain)])) as port:
        assert "RAG_QDRANT_CA_FILE" in refused(f"https://localhost:{port}").message
        # Past the handshake: what is wrong now is the version.
        error = refused(f"https://localhost:{port}", root_certificates=chain)
        assert error.reason is Reason.INDEX_VERSION


def test_a_client_certificate_has_to_be_given(certificate: tuple[bytes, bytes]) -> None:
    chain, key = certificate
    mutual = grpc.ssl_server_credentials([(key, chain)], root_certificates=chain, require_client_auth=True)
    with serving(mutual) as port:
        assert "RAG_QDRANT_CERT_FILE" in refused(f"https://localhost:{port}", root_certificates=chain).message
        error = refused(f"https://localhost:{port}", root_certificates=chain, certificate_chain=chain, private_key=key)
        assert error.reason is Reason.INDEX_VERSION


def test_a_key_without_tls_is_warned_of_once() -> None:
    _warn_of_key_in_clear.cache_clear()
    with capture_logs() as logs:
        for _ in range(3):
            QdrantIndex.connect("http://127.0.0.1:6334", "key", 1).close()
        QdrantIndex.connect("https://127.0.0.1:6334", "key", 1).close()
    assert [entry["event"] for entry in logs] == ["qdrant_key_in_clear"]


def test_a_wrong_key_is_refused_at_the_first_call_with_its_reason() -> None:
    with serving(key="right") as port:
        assert "RAG_QDRANT_API_KEY" in refused(f"http://127.0.0.1:{port}", "wrong").message
        assert refused(f"http://127.0.0.1:{port}", "right").reason is Reason.INDEX_VERSION


def test_rag_up_refuses_a_wrong_key_before_anything_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAG_QDRANT_API_KEY", "wrong")
    with serving(key="right") as port:
        monkeypatch.setenv("RAG_QDRANT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(Unavailable, match="RAG_QDRANT_API_KEY") as wrong:
            start_stack(Silent())
    assert wrong.value.reason is Reason.INDEX_UNAVAILABLE
    assert not (tmp_path / "home" / "postgres").exists()


def test_certificates_come_from_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, qdrant_url="https://localhost:6334", qdrant_ca_file=tmp_path / "missing.pem")
    with pytest.raises(ConfigError, match="RAG_QDRANT_CA_FILE"):
        open_index(settings)


ROUND_TRIPS = Counter(query_batch_points=2)
"""Of a generation that is known. When it falls, lower it here; it is not to rise."""


def test_a_hybrid_search_takes_no_more_round_trips_than_it_did() -> None:
    door = Door(StandIn())
    index = QdrantIndex([Node(cast("Any", door))])
    index.create(SPEC)
    index.apply("g1", [document("a", ["a pump"]), document("b", ["a pump and a valve"])])
    index.promote("g1")
    for generation, more in (("g1", Counter[str]()), (None, Counter(get_aliases=1))):
        index.search(request("pump", generation=generation))
        door.calls.clear()
        assert len(index.search(request("pump", generation=generation)).hits) == 2
        assert Counter(door.asked) == ROUND_TRIPS + more
