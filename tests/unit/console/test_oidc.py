"""Signing in at an OpenID Connect provider: the code flow in a browser, and roles as the query server sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer

from benchmarks.ports import free_port
from tests.support.browser import IN_A_BROWSER, chromium, running_console
from tests.support.oidc_provider import CLIENT, SECRET, Provider
from tests.support.query_server import RunningServer, running

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]
_SECRETS = """
[auth]
redirect_uri = "{url}/oauth2callback"
cookie_secret = "a cookie secret that is long enough"
client_id = "{client}"
client_secret = "{secret}"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
expose_tokens = ["access"]
"""


@dataclass
class Place:
    """The console, the provider it trusts, the server that verifies its tokens, and a browser."""

    url: str
    provider: Provider
    server: RunningServer
    browser: Browser
    scopes: list[str] = field(default_factory=lambda: ["query.read", "ops.read"])

    def visit(self) -> Page:
        """A visitor whom nobody knows yet."""
        page = self.browser.new_context(locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(self.url)
        return page


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    http = HTTPServer(host="127.0.0.1", port=0)
    http.start()
    with running(folder / "server") as server, chromium() as browser:
        provider = Provider(http, access_token=lambda: "")
        secrets = folder / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        url = f"http://127.0.0.1:{port}"
        secrets.write_text(_SECRETS.format(url=url, client=CLIENT, secret=SECRET, issuer=provider.issuer))
        settings = {"RAG_CONSOLE_SIGN_IN": "oidc", "RAG_CONSOLE_QUERY_ADDRESS": server.target}
        with running_console(folder, settings, port):
            yield Place(url, provider, server, browser)
    http.stop()


@pytest.fixture(autouse=True)
def honest(place: Place) -> None:
    """A provider that signs well and a user who may look."""
    place.provider.forged, place.provider.algorithm = False, "ES256"
    place.provider.access_token = lambda: place.server.keys.token(subject="ann", scopes=place.scopes)
    place.scopes = ["query.read", "ops.read"]


@pytest.mark.parametrize(("algorithm", "scope", "said", "audit"), [
    ("ES256", "ops.read", "Signed in as ann (viewer)", 0), ("RS256", "ops.write", "Signed in as ann (operator)", 1),
])  # fmt: skip
def test_the_code_flow_signs_in_with_the_role_that_the_query_server_sees(
    place: Place, algorithm: str, scope: str, said: str, audit: int
) -> None:
    place.provider.algorithm, place.scopes = algorithm, ["query.read", scope]
    exchanged = place.provider.exchanged
    page = place.visit()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(said)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert place.provider.exchanged == exchanged + 1
    assert page.get_by_role("link", name="Audit").count() == audit
    page.context.close()


def test_a_deep_link_survives_the_way_over_the_provider(place: Place) -> None:
    page = place.visit()
    page.goto(f"{place.url}/documents?q=backups&order=oldest")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Documents")).to_be_visible()
    assert page.url == f"{place.url}/documents?q=backups&order=oldest"
    assert [cookie["name"] for cookie in page.context.cookies() if "next" in cookie.get("name", "")] == []
    page.context.close()


@pytest.mark.parametrize("page", ["https://attacker.example/documents", "//attacker.example/x", "/\\attacker.example"])
def test_the_way_back_leads_to_no_other_place(place: Place, page: str) -> None:
    left = httpx.get(f"{place.url}/auth/login", headers={"referer": page}, timeout=60)
    assert "rag_console_next=; Path=/oauth2callback; Max-Age=0" in left.headers["set-cookie"]
    back = httpx.get(
        f"{place.url}/oauth2callback", headers={"cookie": f"rag_console_next={quote(page, safe='')}"}, timeout=60
    )
    assert back.headers["location"] == "/"


@pytest.mark.parametrize("untrusted", ["identity of a stranger", pytest.param("token", marks=pytest.mark.faults)])
def test_what_the_provider_or_the_query_server_does_not_vouch_for_opens_nothing(place: Place, untrusted: str) -> None:
    if untrusted == "token":
        place.provider.access_token = lambda: place.server.keys.token(subject="ann", audience="another")
    else:
        place.provider.forged = True
    page = place.visit()
    with page.expect_response(lambda answer: "/oauth2callback" in answer.url):
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert page.get_by_role("link", name="Overview").count() == 0
    page.context.close()


@pytest.mark.faults
def test_signing_out_ends_the_session_in_the_browser(place: Place) -> None:
    page = place.visit()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=60_000)
    page.goto(f"{place.url}/sources")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=60_000)
    page.context.close()
