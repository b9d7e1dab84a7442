"""Keycloak with the realm of deploy/keycloak: its process, its administration, and its sign-in forms over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, ProxyHandler, Request, build_opener

import httpx

from benchmarks.ports import free_port
from tests.containers.engine import CACHE
from tests.support.chart import ROOT
from tests.support.waiting import eventually

VERSION = "26.0.8"
GIVEN = os.environ.get("RAG_TEST_KEYCLOAK", "")
"""The folder of an unpacked Keycloak; without it Maven fetches one."""
MISSING = not shutil.which("java") or not (GIVEN or shutil.which("mvn"))
NEEDS = "needs Java 17 and Maven, or RAG_TEST_KEYCLOAK and Java 17"
FILES = ROOT / "deploy" / "keycloak"
PASSWORD = "a long pass phrase"
_HEAP = "-Xms64m -Xmx512m"


@dataclass
class Keycloak:
    """A running Keycloak. Paths are below the realm `realm`."""

    url: str
    realm: str = "acme"
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{self.realm}"

    def answers(self) -> bool:
        try:
            return self.http.get(f"{self.issuer}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False

    def token(self, person: str, client: str = "rag-console") -> str:
        """An access token as the console gets it, with the password instead of the browser."""
        form = {"grant_type": "password", "client_id": client, "client_secret": "change-me",
                "username": person, "password": PASSWORD, "scope": "openid"}  # fmt: skip
        return str(self.http.post(f"{self.issuer}/protocol/openid-connect/token", data=form).json()["access_token"])

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """A call of Keycloak's own administration; `path` is below the realm, or one of all realms."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        token = self.http.post("/realms/master/protocol/openid-connect/token", data=form).json()["access_token"]
        place = path if path == "/admin/realms" else f"/admin/realms/{self.realm}{path}"
        found = self.http.request(method, place, json=body, headers=bearer(token))
        assert found.is_success, found.text
        return found.json() if found.content else None

    def add_person(self, name: str, *groups: str) -> None:
        self.admin("POST", "/users", person_of(name, groups))

    def person(self, name: str) -> str:
        return str(self.admin("GET", f"/users?exact=true&username={name}")[0]["id"])

    def disable(self, name: str) -> None:
        self.admin("PUT", f"/users/{self.person(name)}", {"enabled": False})

    def leave(self, name: str, group: str) -> None:
        number = next(one["id"] for one in self.admin("GET", "/groups") if one["name"] == group)
        self.admin("DELETE", f"/users/{self.person(name)}/groups/{number}")

    def sign_in(self, address: str, person: str) -> dict[str, str]:
        """Open an address at which a client sends people here, fill in the forms as this person, and return what the
        client gets. Raises `SignInError` with the page that says no."""
        cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))  # on loopback, as browsers do
        browser = build_opener(ProxyHandler({}), HTTPCookieProcessor(cookies), _Redirects(self.url))
        answers = {"username": person, "password": PASSWORD, "accept": "Yes"}
        try:
            page = browser.open(address, timeout=60)
            while True:
                text = page.read().decode()
                form = _Form(text)
                filled = {name: answers.pop(name) for name in form.inputs if name in answers}
                if not filled and not {"SAMLRequest", "SAMLResponse"} & form.hidden.keys():
                    raise SignInError(text)
                body = urlencode({**form.hidden, **filled}).encode()
                page = browser.open(urljoin(page.url, form.action), body, timeout=60)
        except _ReturnedError as client:
            return dict(parse_qsl(urlsplit(str(client)).query))
        except HTTPError as error:
            raise SignInError(error.read().decode()) from None


class SignInError(Exception):
    """Keycloak shows a page instead of sending the person back."""


class _ReturnedError(Exception):
    """The address to which the person is sent back."""


class _Redirects(HTTPRedirectHandler):
    def __init__(self, inside: str) -> None:
        self._inside = inside

    def redirect_request(self, request: Request, page: Any, code: int, said: str, headers: Any, target: str) -> Any:
        if not target.startswith(self._inside):
            page.close()
            raise _ReturnedError(target)
        return super().redirect_request(request, page, code, said, headers, target)


class _Form(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.hidden, self.inputs = "", dict[str, str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given.get("action", "")
        if tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        elif tag in ("input", "button"):
            self.inputs.append(given.get("name", ""))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def person_of(name: str, groups: tuple[str, ...]) -> dict[str, Any]:
    """A person with the password of all."""
    password = {"type": "password", "value": PASSWORD}
    return {"username": name, "enabled": True, "email": f"{name}@acme.example", "emailVerified": True,
            "firstName": name.title(), "lastName": "Li", "credentials": [password], "groups": list(groups),
            "realmRoles": ["default-roles-acme"]}  # fmt: skip


@contextmanager
def running_keycloak(home: Path, folder: Path, realm: dict[str, Any]) -> Iterator[Keycloak]:
    """The unpacked Keycloak of `home`, copied to `folder`, with this realm."""
    port = free_port()
    (folder / "data" / "import").mkdir(parents=True)
    for name in ("bin", "conf", "lib", "providers", "themes"):
        # Its programs find their files by where they are, and it writes into lib while it starts.
        shutil.copytree(home / name, folder / name)
    (folder / "data" / "import" / "realm.json").write_text(json.dumps(realm))
    environment = {"JAVA_OPTS_KC_HEAP": _HEAP, **os.environ, "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
                   "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD}  # fmt: skip
    command = ["start-dev", "--http-host=127.0.0.1", f"--http-port={port}", "--import-realm"]
    with (folder / "keycloak.log").open("wb") as log:
        # Its script would leave Java behind when it is ended.
        process = subprocess.Popen(
            [str(folder / "bin" / "kc.sh"), *command], env=environment, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    keycloak = Keycloak(f"http://127.0.0.1:{port}")

    def started() -> bool:
        assert process.poll() is None, (folder / "keycloak.log").read_text()[-3000:]
        return keycloak.answers()

    try:
        assert eventually(started, seconds=600), (folder / "keycloak.log").read_text()[-3000:]
        yield keycloak
    finally:
        keycloak.http.close()
        os.killpg(process.pid, 15)
        process.wait(60)


def unpacked_keycloak() -> Path:
    """The folder of Keycloak, fetched from Maven Central the first time."""
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
