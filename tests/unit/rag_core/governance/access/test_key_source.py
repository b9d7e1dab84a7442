"""Where keys may come from, and what is refused there."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.governance.access.key_source import MAX_JWKS_BYTES, read_url, require_safe_url


@pytest.mark.catalogue("S23")
@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/jwks",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1.evil.example/jwks",
        "ftp://idp.example/jwks",
        "file:///etc/passwd",
        "https://",
        "jwks",
        "",
        "https://[::1/jwks",
        "https://idp.example:99999/jwks",
    ],
)
def test_keys_are_read_over_https_only(url: str) -> None:
    with pytest.raises(ConfigError):
        require_safe_url(url)


@pytest.mark.catalogue("S23")
def test_no_password_in_the_address() -> None:
    with pytest.raises(ConfigError) as caught:
        require_safe_url("https://me:hunter2@idp.example/jwks")
    assert caught.value.reason is Reason.SECRET_INLINE_FORBIDDEN
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://idp.example/jwks", "http://localhost:1/jwks", "http://[::1]:8/jwks"])
def test_https_and_loopback_are_fine(url: str) -> None:
    assert require_safe_url(url) == url


@pytest.mark.catalogue("S22")
def test_redirects_and_endless_answers_are_refused(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/moved").respond_with_data("", 302, headers={"location": httpserver.url_for("/jwks")})
    httpserver.expect_request("/endless").respond_with_data("x" * (MAX_JWKS_BYTES + 1))
    for path in ("/moved", "/endless", "/absent"):
        with pytest.raises(Unavailable) as caught:
            read_url(httpserver.url_for(path))
        assert caught.value.reason is Reason.KEYS_UNAVAILABLE


@pytest.mark.catalogue("S23")
def test_a_proxy_of_the_environment_is_not_used(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    httpserver.expect_request("/jwks").respond_with_data(b"{}")
    assert read_url(httpserver.url_for("/jwks")) == b"{}"


@pytest.mark.catalogue("S24")
def test_a_certificate_nobody_trusts_is_refused(make_httpserver_ssl: HTTPServer) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        read_url(f"https://127.0.0.1:{make_httpserver_ssl.port}/jwks")


@pytest.fixture
def make_httpserver_ssl(tmp_path):  # type: ignore[no-untyped-def]
    import ssl

    from tests.support.certificates import self_signed

    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(ssl_context=context)
    server.start()
    yield server
    server.stop()
