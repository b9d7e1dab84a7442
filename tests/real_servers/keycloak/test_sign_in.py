"""People sign in to the console at Keycloak, with the realm of deploy/keycloak: roles, groups, keys, leavers."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.real_servers.keycloak.conftest import Desk, Platform
from tests.support.browser import CHROMIUM
from tests.support.browser import NEEDS as NEEDS_BROWSER
from tests.support.keycloak import MISSING, NEEDS
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(MISSING, reason=NEEDS),
    pytest.mark.skipif(CHROMIUM is None, reason=NEEDS_BROWSER),
]


@pytest.mark.parametrize(("person", "role"), [("ann", "viewer"), ("bo", "operator"), ("di", "admin")])
def test_people_sign_in_with_the_role_that_their_groups_give(desk: Desk, person: str, role: str) -> None:
    page = desk.sign_in(person)
    expect(page.get_by_text(f"Signed in as {person} ({role})")).to_be_visible()
    page.context.close()


def test_signing_out_ends_the_session_there_too(desk: Desk) -> None:
    page = desk.sign_in("ann")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#password")).to_be_visible()  # asked again: nobody is signed in from before
    page.context.close()


def test_groups_open_documents_through_the_gateway_until_a_person_leaves_one(platform: Platform) -> None:
    before = platform.keycloak.token("ann")
    assert platform.finds(before)
    assert not platform.finds(platform.keycloak.token("cy"))
    platform.keycloak.leave("ann", "staff")
    assert not platform.finds(platform.keycloak.token("ann"))
    assert platform.finds(before)  # what a token says holds until it ends, or is revoked
    platform.revoke("ann")
    assert eventually(lambda: platform.search(before).status_code == 401)


def test_a_person_who_is_disabled_gets_no_token(desk: Desk) -> None:
    desk.platform.keycloak.disable("cy")
    page = desk.sign_in("cy")
    expect(page.get_by_text("Account is disabled")).to_be_visible()
    page.context.close()


def test_keys_rotate_while_people_work(platform: Platform) -> None:
    before = platform.keycloak.token("bo")
    assert platform.finds(before)
    realm = platform.keycloak.admin("GET", "")["id"]
    providers = platform.keycloak.admin("GET", f"/components?parent={realm}&type=org.keycloak.keys.KeyProvider")
    old = [one for one in providers if one["providerId"] == "rsa-generated"]
    platform.keycloak.admin("POST", "/components", {
        "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
        "parentId": realm, "config": {"priority": ["1000"], "active": ["true"], "enabled": ["true"]},
    })  # fmt: skip
    after = platform.keycloak.token("bo")
    assert eventually(lambda: platform.search(after).status_code == 200)  # Envoy reads the keys twice a minute
    assert platform.finds(after)
    assert platform.finds(before)
    for one in old:
        platform.keycloak.admin("DELETE", f"/components/{one['id']}")
    assert eventually(lambda: platform.search(before).status_code == 401, seconds=120)
    assert platform.finds(after)
