"""Keycloak as the broker of a SAML provider, which is a second realm: people sign in to the console with its groups."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from tests.real_servers.keycloak.conftest import Desk, Platform, fill_in
from tests.support.browser import CHROMIUM
from tests.support.browser import NEEDS as NEEDS_BROWSER
from tests.support.keycloak import FILES, MISSING, NEEDS, Keycloak, SignInError, person_of

pytestmark = [pytest.mark.real_servers, pytest.mark.skipif(MISSING, reason=NEEDS)]
STAFF, OPERATORS = "Everybody in Berlin", "Search team"


@pytest.fixture(scope="module")
def company(platform: Platform) -> Iterator[Keycloak]:
    """The company's own provider, which Keycloak trusts by the file of deploy/keycloak."""
    broker = platform.keycloak
    found = Keycloak(broker.url, "company")
    broker.admin("POST", "/admin/realms", realm_of_company(broker.issuer))
    text = (FILES / "saml.json").read_text("utf-8")
    saml = f"{found.issuer}/protocol/saml"
    for ours, theirs in (("metadata", f"{saml}/descriptor"), ("sign-in", saml), ("", found.issuer)):
        text = text.replace(f'"https://idp.example.org/saml{ours and "/"}{ours}"', json.dumps(theirs))
    broker.admin("POST", "/partialImport", json.loads(text))
    yield found
    found.http.close()


def realm_of_company(broker: str) -> dict[str, Any]:
    endpoint = f"{broker}/broker/corporate/endpoint"
    properties = {"uid": "username", "email": "email", "givenName": "firstName", "sn": "lastName"}
    mappers = [
        mapper(name, "saml-user-property-mapper", {"user.attribute": value}) for name, value in properties.items()
    ]
    mappers.append(mapper("groups", "saml-group-membership-mapper", {"single": "true", "full.path": "false"}))
    client = {
        "clientId": broker, "protocol": "saml", "redirectUris": [endpoint], "protocolMappers": mappers,
        "attributes": {
            "saml.assertion.signature": "true", "saml.server.signature": "true", "saml.client.signature": "false",
            "saml_name_id_format": "persistent", "saml_assertion_consumer_url_post": endpoint,
        },
    }  # fmt: skip
    groups = {"hal": (STAFF, OPERATORS), "ida": (STAFF,), "jan": ()}
    people = [{**person_of(name, those), "realmRoles": []} for name, those in groups.items()]
    named = [{"name": name} for name in (STAFF, OPERATORS)]
    return {"realm": "company", "enabled": True, "groups": named, "users": people, "clients": [client]}


def mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name, "protocol": "saml", "protocolMapper": kind,
        "config": {"attribute.name": name, "attribute.nameformat": "Basic", **config},
    }  # fmt: skip


def token(broker: Keycloak, person: str) -> str:
    """What a program of this person gets that sends them to the company's provider."""
    verifier = "a" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    program = {"client_id": "rag-programs", "redirect_uri": "http://127.0.0.1/"}
    asked = {
        **program, "response_type": "code", "scope": "openid", "code_challenge": challenge,
        "code_challenge_method": "S256", "kc_idp_hint": "corporate",
    }  # fmt: skip
    place = f"{broker.issuer}/protocol/openid-connect"
    code = broker.sign_in(f"{place}/auth?{urlencode(asked)}", person)["code"]
    form = {**program, "grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    return str(broker.http.post(f"{place}/token", data=form).json()["access_token"])


@pytest.mark.skipif(CHROMIUM is None, reason=NEEDS_BROWSER)
@pytest.mark.usefixtures("company")
def test_people_of_a_saml_provider_sign_in_to_the_console(desk: Desk) -> None:
    page = desk.visit()
    page.get_by_role("link", name="Company account").click()
    fill_in(page, "hal")
    expect(page.get_by_text("Signed in as hal (operator)")).to_be_visible()
    page.context.close()


def test_groups_of_a_saml_provider_open_documents_until_a_person_leaves_one(
    platform: Platform, company: Keycloak
) -> None:
    assert platform.finds(token(platform.keycloak, "ida"))
    company.leave("ida", STAFF)
    assert not platform.finds(token(platform.keycloak, "ida"))


def test_what_the_provider_did_not_sign_lets_nobody_in(platform: Platform, company: Keycloak) -> None:
    (client,) = company.admin("GET", f"/clients?{urlencode({'clientId': platform.keycloak.issuer})}")
    unsigned = {"saml.assertion.signature": "false", "saml.server.signature": "false"}
    company.admin("PUT", f"/clients/{client['id']}", {**client, "attributes": client["attributes"] | unsigned})
    with pytest.raises(SignInError, match="Invalid requester"):
        token(platform.keycloak, "jan")
    company.admin("PUT", f"/clients/{client['id']}", client)
    assert token(platform.keycloak, "jan")
