"""Keycloak as the identity provider, with the realm of deploy/keycloak: browsers, programs, groups, keys, leavers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.ports import free_port
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.governance.access.key_source import UrlKeys
from ragctl.gateway.options import Backends, Endpoint, Jwt
from ragproto.admin.v1 import access_pb2, access_pb2_grpc
from tests.containers.engine import CACHE
from tests.support.browser import CHROMIUM, NEEDS, chromium, running_console
from tests.support.chart import ROOT
from tests.support.query_server import Doc, RunningServer, running
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

VERSION = "26.0.8"
GIVEN = os.environ.get("RAG_TEST_KEYCLOAK", "")
"""The folder of an unpacked Keycloak; without it Maven fetches one."""
WITHOUT = [] if GIVEN or shutil.which("mvn") else ["Maven (or RAG_TEST_KEYCLOAK)"]
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(CHROMIUM is None, reason=NEEDS),
    pytest.mark.skipif(
        bool(WITHOUT) or shutil.which("java") is None,
        reason="needs Java 17 and Maven, or RAG_TEST_KEYCLOAK and Java 17",
    ),
]
PASSWORD = "a long pass phrase"
PEOPLE = {"ann": ["staff"], "bo": ["staff", "operators"], "cy": [], "di": ["administrators"]}
QUESTION = "What does the canteen offer on Fridays?"
DOCS = [Doc("On Fridays the canteen offers fish and dumplings.", "canteen.md", acl=("group:staff",))]


class Keycloak:
    """A Keycloak with the realm of deploy/keycloak, people of its own, and a console at `console`."""

    def __init__(self, home: Path, folder: Path, console: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = f"{self.url}/realms/acme"
        (folder / "data" / "import").mkdir(parents=True)
        for name in ("bin", "conf", "lib", "providers", "themes"):
            # Its programs find their files by where they are, and it writes into lib while it starts.
            shutil.copytree(home / name, folder / name)
        (folder / "data" / "import" / "acme.json").write_text(json.dumps(realm_of(console)))
        environment = {**os.environ, "KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD}
        command = ["start-dev", "--http-host=127.0.0.1", f"--http-port={self.port}", "--import-realm"]
        with (folder / "keycloak.log").open("wb") as log:
            # Its script would leave Java behind when it is ended.
            self.process = subprocess.Popen(
                [str(folder / "bin" / "kc.sh"), *command], env=environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        assert eventually(self._answers, seconds=600), (folder / "keycloak.log").read_text()[-3000:]

    def _answers(self) -> bool:
        assert self.process.poll() is None, "Keycloak ended while starting"
        try:
            return self.http.get("/realms/acme/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    def token(self, person: str) -> str:
        """An access token as the console gets it, with the password instead of the browser."""
        form = {"grant_type": "password", "client_id": "rag-console", "client_secret": "change-me", "username": person,
                "password": PASSWORD, "scope": "openid"}  # fmt: skip
        return str(self.http.post("/realms/acme/protocol/openid-connect/token", data=form).json()["access_token"])

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """A call of Keycloak's own administration."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        token = self.http.post("/realms/master/protocol/openid-connect/token", data=form).json()["access_token"]
        found = self.http.request(method, f"/admin/realms/acme{path}", json=body, headers=bearer(token))
        assert found.is_success, found.text
        return found.json() if found.content else None

    def person(self, name: str) -> str:
        return str(self.admin("GET", f"/users?exact=true&username={name}")[0]["id"])

    def leave(self, name: str, group: str) -> None:
        number = next(one["id"] for one in self.admin("GET", "/groups") if one["name"] == group)
        self.admin("DELETE", f"/users/{self.person(name)}/groups/{number}")

    def close(self) -> None:
        self.http.close()
        os.killpg(self.process.pid, 15)
        self.process.wait(60)


def realm_of(console: str) -> dict[str, Any]:
    realm: dict[str, Any] = json.loads((ROOT / "deploy" / "keycloak" / "realm.json").read_text("utf-8"))
    client = realm["clients"][0]
    client["redirectUris"] = [f"{console}/oauth2callback"]
    client["attributes"]["post.logout.redirect.uris"] = f"{console}/*"
    client["directAccessGrantsEnabled"] = True
    password = {"type": "password", "value": PASSWORD}
    realm["users"] = [
        {"username": name, "enabled": True, "email": f"{name}@acme.example", "emailVerified": True,
         "firstName": name.title(), "lastName": "Li", "credentials": [password], "groups": groups}
        for name, groups in PEOPLE.items()
    ]  # fmt: skip
    return realm


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def home() -> Path:
    if GIVEN:
        return Path(GIVEN)
    unpacked = CACHE / f"keycloak-{VERSION}"
    if not unpacked.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            get = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
            artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
            command = ["mvn", "-q", "-B", get, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
            subprocess.run(command, check=True, cwd=folder)
            with zipfile.ZipFile(Path(folder) / f"keycloak-quarkus-dist-{VERSION}.zip") as archive:
                archive.extractall(folder)
            (Path(folder) / f"keycloak-{VERSION}").rename(unpacked)
        (unpacked / "bin" / "kc.sh").chmod(0o755)
    return unpacked


@dataclass
class Place:
    """Keycloak, a query server that trusts it, the gateway in front, a console, and a browser."""

    keycloak: Keycloak
    server: RunningServer
    gateway: str
    console: str
    browser: Browser

    def search(self, token: str) -> httpx.Response:
        body = {"query": QUESTION}
        return httpx.post(
            f"http://{self.gateway}/api/v2/search", json=body, headers=bearer(token), timeout=60, trust_env=False
        )

    def finds(self, token: str) -> bool:
        found = self.search(token)
        assert found.status_code == 200, found.text
        return "dumplings" in found.text

    def visit(self) -> Page:
        page = self.browser.new_context(locale="en-GB").new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(self.console)
        return page

    def sign_in(self, person: str) -> Page:
        page = self.visit()
        page.get_by_role("button", name="Sign in").click()
        page.locator("#username").fill(person)
        page.locator("#password").fill(PASSWORD)
        page.locator("#kc-login").click()
        return page


@pytest.fixture(scope="module")
def place(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("keycloak"), free_port()
    console = f"http://127.0.0.1:{port}"
    keycloak = Keycloak(home, folder / "keycloak", console)
    jwks = f"{keycloak.issuer}/protocol/openid-connect/certs"
    verifier = TokenVerifier(UrlKeys(jwks, refresh=1, pause=1), TokenRules(keycloak.issuer, "rag-query", 86_400, 60))
    try:
        with (
            running(folder / "server", docs=DOCS, dependencies={"verifier": verifier}) as server,
            running_envoy(options_of(server, keycloak.issuer, jwks), folder) as gateway,
            chromium() as browser,
        ):
            write_secrets(folder, console, keycloak.issuer)
            settings = {"RAG_CONSOLE_SIGN_IN": "oidc", "RAG_CONSOLE_QUERY_ADDRESS": server.target}
            with running_console(folder, settings, port):
                yield Place(keycloak, server, gateway, console, browser)
    finally:
        keycloak.close()


def options_of(server: RunningServer, issuer: str, jwks: str) -> Any:
    probe = Endpoint("127.0.0.1", server.ports.metrics)
    blue = Backends((Endpoint("127.0.0.1", server.ports.query),), (probe,))
    return replace(gateway_options(), blue=blue, jwt=Jwt(issuer, "rag-query", 60, jwks_url=jwks))


def write_secrets(folder: Path, console: str, issuer: str) -> None:
    """The file of Streamlit's login, as docs/how-to/sign-in-with-keycloak.md has it."""
    page = (ROOT / "docs" / "how-to" / "sign-in-with-keycloak.md").read_text("utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    text = text.replace("https://console.example.org", console).replace("https://login.example.org/realms/acme", issuer)
    (folder / ".streamlit").mkdir()
    (folder / ".streamlit" / "secrets.toml").write_text(text.replace("…", "a cookie secret that is long enough"))


@pytest.mark.parametrize(("person", "role"), [("ann", "viewer"), ("bo", "operator"), ("di", "admin")])
def test_people_sign_in_with_the_role_that_their_groups_give(place: Place, person: str, role: str) -> None:
    page = place.sign_in(person)
    expect(page.get_by_text(f"Signed in as {person} ({role})")).to_be_visible()
    page.context.close()


def test_signing_out_ends_the_session_there_too(place: Place) -> None:
    page = place.sign_in("ann")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#password")).to_be_visible()  # asked again: nobody is signed in from before
    page.context.close()


def test_groups_open_documents_through_the_gateway_until_a_person_leaves_one(place: Place) -> None:
    before = place.keycloak.token("ann")
    assert place.finds(before)
    assert not place.finds(place.keycloak.token("cy"))
    place.keycloak.leave("ann", "staff")
    assert not place.finds(place.keycloak.token("ann"))
    assert place.finds(before)  # what a token says holds until it ends, or is revoked
    stub = access_pb2_grpc.AccessServiceStub(place.server.channel)
    stub.RevokeTokens(
        access_pb2.RevokeTokensRequest(subject="ann", reason="left the staff"),
        metadata=[("authorization", f"Bearer {place.keycloak.token('di')}")],
    )
    assert eventually(lambda: place.search(before).status_code == 401)


def test_a_person_who_is_disabled_gets_no_token(place: Place) -> None:
    number = place.keycloak.person("cy")
    place.keycloak.admin("PUT", f"/users/{number}", {"enabled": False})
    page = place.sign_in("cy")
    expect(page.get_by_text("Account is disabled")).to_be_visible()
    page.context.close()


def test_keys_rotate_while_people_work(place: Place) -> None:
    before = place.keycloak.token("bo")
    assert place.finds(before)
    realm = place.keycloak.admin("GET", "")["id"]
    old = [one for one in place.keycloak.admin("GET", f"/components?parent={realm}&type=org.keycloak.keys.KeyProvider")
           if one["providerId"] == "rsa-generated"]  # fmt: skip
    place.keycloak.admin("POST", "/components", {
        "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
        "parentId": realm, "config": {"priority": ["1000"], "active": ["true"], "enabled": ["true"]},
    })  # fmt: skip
    after = place.keycloak.token("bo")
    assert eventually(lambda: place.search(after).status_code == 200)  # Envoy reads the keys twice a minute
    assert place.finds(after)
    assert place.finds(before)
    for one in old:
        place.keycloak.admin("DELETE", f"/components/{one['id']}")
    assert eventually(lambda: place.search(before).status_code == 401, seconds=120)
    assert place.finds(after)
