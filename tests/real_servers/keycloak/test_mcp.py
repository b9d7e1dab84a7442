"""A person's MCP client and Keycloak: the client finds the way, the person signs in, and only their documents come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
import httpx2
import pytest
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from benchmarks.ports import free_port
from tests.real_servers.keycloak.conftest import QUESTION, Platform
from tests.support.keycloak import MISSING, NEEDS, SignInError, bearer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.real_servers, pytest.mark.skipif(MISSING, reason=NEEDS)]


@dataclass
class Person:
    """A person with an MCP client: what it keeps, and the browser that it opens. Is its `TokenStorage`."""

    platform: Platform
    name: str
    client: OAuthClientInformationFull | None = None
    tokens: OAuthToken | None = None
    sign_ins: int = 0
    asked: str = ""
    redirect: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}/callback")

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def open_browser(self, address: str) -> None:
        self.asked = address

    async def come_back(self) -> AuthorizationCodeResult:
        self.sign_ins += 1
        found = await asyncio.to_thread(self.platform.keycloak.sign_in, self.asked, self.name)
        return AuthorizationCodeResult.model_validate(found)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        wanted = OAuthClientMetadata.model_validate(
            {"client_name": "an assistant", "redirect_uris": [self.redirect], "token_endpoint_auth_method": "none"}
        )
        place = f"{self.platform.gateway}/mcp"
        sign_in = OAuthClientProvider(place, wanted, self, self.open_browser, self.come_back)
        async with (
            httpx2.AsyncClient(auth=sign_in, trust_env=False, timeout=60) as http,
            Client(streamable_http_client(place, http_client=http)) as client,
        ):
            yield client


async def finds(client: Client) -> bool:
    found = await client.call_tool("search", {"query": QUESTION})
    assert not found.is_error, found
    return "dumplings" in str(found.structured_content["passages"])


def registered(person: Person) -> Person:
    """The person with a client that an administrator registered: that of the realm for programs."""
    person.client = OAuthClientInformationFull.model_validate(
        {"client_id": "rag-programs", "redirect_uris": [person.redirect], "token_endpoint_auth_method": "none"}
    )
    return person


@pytest.fixture
def short_lived(platform: Platform) -> Iterator[None]:
    """Access tokens that live for a second."""
    before = platform.keycloak.admin("GET", "")["accessTokenLifespan"]
    platform.keycloak.admin("PUT", "", {"accessTokenLifespan": 1})
    yield
    platform.keycloak.admin("PUT", "", {"accessTokenLifespan": before})


def message(platform: Platform, token: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    return httpx.post(f"{platform.gateway}/mcp", json=body, headers=bearer(token), timeout=60, trust_env=False)


async def test_a_client_registers_itself_and_finds_what_its_person_may_see(platform: Platform) -> None:
    for name, sees in (("ann", True), ("cy", False)):
        person = Person(platform, name)
        async with person.connected() as client:
            assert await finds(client) == sees
        assert person.sign_ins == 1
        assert person.tokens is not None
        assert person.tokens.scope is not None
        assert {"query.read", "documents.read"} <= set(person.tokens.scope.split())
        async with person.connected() as client:  # started again, with what it kept
            assert await finds(client) == sees
        assert person.sign_ins == 1


@pytest.mark.parametrize(
    "asks",
    [{"redirect_uris": ["https://app.example.org/callback"]}, {"scope": "query.read admin"}],
    ids=["elsewhere", "for more"],
)
def test_only_programs_on_the_persons_machine_register_and_only_to_read(
    platform: Platform, asks: dict[str, object]
) -> None:
    place = f"{platform.keycloak.issuer}/clients-registrations/openid-connect"
    wanted = {"redirect_uris": ["http://127.0.0.1/callback"], "scope": "query.read"}
    assert platform.keycloak.http.post(place, json=wanted).status_code == 201
    assert platform.keycloak.http.post(place, json={**wanted, **asks}).status_code == 403


def test_a_program_without_pkce_gets_no_code(platform: Platform) -> None:
    redirect, keycloak = "http://127.0.0.1/callback", platform.keycloak
    itself = keycloak.http.post(
        f"{keycloak.issuer}/clients-registrations/openid-connect",
        json={"redirect_uris": [redirect], "scope": "query.read", "token_endpoint_auth_method": "none"},
    ).json()["client_id"]
    for client in (itself, "rag-programs"):
        asked = urlencode({"response_type": "code", "client_id": client, "redirect_uri": redirect})
        found = keycloak.sign_in(f"{keycloak.issuer}/protocol/openid-connect/auth?{asked}", "ann")
        assert (found["error"], "code" in found) == ("invalid_request", False)


@pytest.mark.usefixtures("short_lived")
async def test_a_registered_client_refreshes_its_token_and_a_group_that_was_left_is_in_none(platform: Platform) -> None:
    platform.keycloak.add_person("fay", "staff")
    person = registered(Person(platform, "fay"))
    async with person.connected() as client:
        assert await finds(client)
        first = person.tokens
        while person.tokens == first:
            assert await finds(client)
        platform.keycloak.leave("fay", "staff")
        while await finds(client):
            pass
    assert person.sign_ins == 1


@pytest.mark.usefixtures("short_lived")
async def test_a_client_whose_access_was_revoked_asks_its_person_again(platform: Platform) -> None:
    platform.keycloak.add_person("gil", "staff")
    person = Person(platform, "gil")
    async with person.connected() as client:
        assert await finds(client)
        assert person.client is not None
        consents = f"/users/{platform.keycloak.person('gil')}/consents"
        platform.keycloak.admin("DELETE", f"{consents}/{person.client.client_id}")
        while person.sign_ins == 1:
            assert await finds(client)


async def test_a_person_who_was_disabled_and_revoked_is_refused_at_once_and_cannot_come_back(
    platform: Platform,
) -> None:
    platform.keycloak.add_person("eve", "staff")
    person = Person(platform, "eve")
    async with person.connected() as client:
        assert await finds(client)
    assert person.tokens is not None
    platform.keycloak.disable("eve")
    assert message(platform, person.tokens.access_token).status_code == 200
    platform.revoke("eve")
    assert eventually(lambda: message(platform, person.tokens.access_token).status_code == 401)
    with pytest.RaisesGroup(
        pytest.RaisesExc(SignInError, match="Account is disabled"), flatten_subgroups=True, allow_unwrapped=True
    ):
        async with person.connected():
            pytest.fail("a person who was disabled came in")


def test_a_token_for_another_service_is_refused_with_the_way_to_the_right_one(platform: Platform) -> None:
    platform.keycloak.admin(
        "POST", "/clients",
        {"clientId": "intranet", "secret": "change-me", "directAccessGrantsEnabled": True, "defaultClientScopes": []},
    )  # fmt: skip
    answer = message(platform, platform.keycloak.token("ann", client="intranet"))
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (401, "TOKEN_AUDIENCE")
    assert "/.well-known/oauth-protected-resource/mcp" in answer.headers["www-authenticate"]
