"""Keycloak for the tests of this folder, and the platform that trusts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.ports import free_port
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.governance.access.key_source import UrlKeys
from ragctl.gateway.options import Jwt
from ragproto.admin.v1 import access_pb2, access_pb2_grpc
from tests.support.browser import chromium, running_console
from tests.support.chart import ROOT
from tests.support.interfaces import behind_gateway, running_interfaces
from tests.support.keycloak import FILES, PASSWORD, Keycloak, bearer, person_of, running_keycloak, unpacked_keycloak
from tests.support.query_server import Doc, RunningServer, running

PEOPLE = {"ann": ("staff",), "bo": ("staff", "operators"), "cy": (), "di": ("administrators",)}
QUESTION = "What does the canteen offer on Fridays?"
DOCS = [Doc("On Fridays the canteen offers fish and dumplings.", "canteen.md", acl=("group:staff",))]


@dataclass
class Platform:
    """A query server that trusts Keycloak, the open interfaces, and the gateway in front."""

    keycloak: Keycloak
    server: RunningServer
    gateway: str

    def search(self, token: str) -> httpx.Response:
        place, body = f"{self.gateway}/api/v2/search", {"query": QUESTION}
        return httpx.post(place, json=body, headers=bearer(token), timeout=60, trust_env=False)

    def finds(self, token: str) -> bool:
        found = self.search(token)
        assert found.status_code == 200, found.text
        return "dumplings" in found.text

    def revoke(self, person: str) -> None:
        """End the tokens that the person has."""
        access_pb2_grpc.AccessServiceStub(self.server.channel).RevokeTokens(
            access_pb2.RevokeTokensRequest(subject=person, reason="left"),
            metadata=[("authorization", f"Bearer {self.keycloak.token('di')}")],
        )


@dataclass
class Desk:
    """The console at the platform, and a browser."""

    platform: Platform
    console: str
    browser: Browser

    def visit(self) -> Page:
        page = self.browser.new_context(locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(self.console)
        page.get_by_role("button", name="Sign in").click()
        return page

    def sign_in(self, person: str) -> Page:
        return fill_in(self.visit(), person)


def fill_in(page: Page, person: str) -> Page:
    """Keycloak's form."""
    page.locator("#username").fill(person)
    page.locator("#password").fill(PASSWORD)
    page.locator("#kc-login").click()
    return page


@pytest.fixture(scope="package")
def console_address() -> str:
    """Where the console will listen: the realm names it."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="package")
def keycloak(console_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    realm: dict[str, Any] = json.loads((FILES / "realm.json").read_text("utf-8"))
    client = realm["clients"][0]
    client["redirectUris"] = [f"{console_address}/oauth2callback"]
    client["attributes"]["post.logout.redirect.uris"] = f"{console_address}/*"
    client["directAccessGrantsEnabled"] = True
    realm["users"] = [person_of(name, groups) for name, groups in PEOPLE.items()]
    with running_keycloak(unpacked_keycloak(), tmp_path_factory.mktemp("keycloak"), realm) as running:
        yield running


@pytest.fixture(scope="package")
def platform(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    jwks = f"{keycloak.issuer}/protocol/openid-connect/certs"
    verifier = TokenVerifier(UrlKeys(jwks, refresh=1, pause=1), TokenRules(keycloak.issuer, "rag-query", 86_400, 60))
    jwt = Jwt(keycloak.issuer, "rag-query", 60, jwks_url=jwks)
    with (
        running(folder / "server", docs=DOCS, dependencies={"verifier": verifier}) as server,
        running_interfaces(server, authorization_servers=keycloak.issuer) as interfaces,
        behind_gateway(interfaces, folder, jwt=jwt) as gateway,
    ):
        yield Platform(keycloak, server, gateway.url)


@pytest.fixture(scope="package")
def console(console_address: str, platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The console with the file of Streamlit's login, as docs/how-to/sign-in-with-keycloak.md has it."""
    folder = tmp_path_factory.mktemp("console")
    page = (ROOT / "docs" / "how-to" / "sign-in-with-keycloak.md").read_text("utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    text = text.replace("https://console.example.org", console_address)
    text = text.replace("https://login.example.org/realms/acme", platform.keycloak.issuer)
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(text.replace("…", "a cookie secret that is long enough"))
    settings = {"RAG_CONSOLE_SIGN_IN": "oidc", "RAG_CONSOLE_QUERY_ADDRESS": platform.server.target}
    with running_console(folder, settings, int(console_address.rpartition(":")[2])) as running:
        yield running


@pytest.fixture(scope="module")
def desk(console: str, platform: Platform) -> Iterator[Desk]:
    """Open for one module: while a browser is, no test may run an event loop of its own."""
    with chromium() as browser:
        yield Desk(platform, console, browser)
