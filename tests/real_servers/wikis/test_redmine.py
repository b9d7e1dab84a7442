"""Sources of a Redmine against Redmine itself: Puma, SQLite, and its REST API for changes."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from benchmarks.ports import free_port
from tests.support.redmine_suite import ROLES, RedmineSuite

CODE = Path(os.environ.get("RAG_TEST_REDMINE", "/usr/share/redmine"))
PUMA = shutil.which("puma")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(
        PUMA is None or not (CODE / "lib/redmine/multi_tenancy.rb").exists(),
        reason="no Redmine (Debian's redmine, redmine-sqlite and puma), and RAG_TEST_REDMINE names none",
    ),
]
SEED = """
ActiveRecord::Migration.verbose = false
Redmine::DefaultData::Loader.load('en')
Setting.rest_api_enabled = '1'
%s
File.write(ENV['RAG_KEY'], User.find_by_login('admin').api_key)
"""
ROLE = "Role.create!(name: %r, permissions: %s, issues_visibility: %r)"
PASSWORD = "A-long-password-1"  # of accounts that the test makes


class Server:
    """A Redmine in a folder of its own, which Debian's package calls an instance."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.numbers = folder, free_port(), itertools.count(1)
        for name in ("config", "files", "log", "tmp", "public"):
            (folder / name).mkdir()
        self.database = folder / "redmine.db"
        about = f"production:\n  adapter: sqlite3\n  database: {self.database}\n  timeout: 20000\n"
        (folder / "config" / "database.yml").write_text(about)
        (folder / "config" / "secret_key.txt").write_text("0123456789" * 8)
        roles = "\n".join(ROLE % (name, list(map(str, may)), issues) for name, (issues, may) in ROLES.items())
        (folder / "seed.rb").write_text(SEED % roles.replace("['", "[:'").replace(", '", ", :'").replace(": :", ": "))
        self._run("rake", "db:migrate")
        self._run(str(CODE / "bin" / "rails"), "runner", str(folder / "seed.rb"))
        self.key = (folder / "key").read_text()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is not None:
            return
        with (self.folder / "log" / "puma").open("wb") as log:
            self._process = subprocess.Popen(
                [str(PUMA), "-e", "production", "-t", "2:2", "-b", f"tcp://127.0.0.1:{self.port}", "config.ru"],
                cwd=CODE, env=self._environment(), stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + 240
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/login", timeout=240).status_code == 200:
                    return
            except httpx.TransportError:
                continue
        raise AssertionError((self.folder / "log" / "puma").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=CODE, env=self._environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        tenant = os.path.relpath(self.folder, CODE / "instances")
        return dict(os.environ) | {
            "RAILS_ENV": "production", "X_DEBIAN_SITEID": tenant, "RAG_KEY": str(self.folder / "key"),
            "SCHEMA": str(self.folder / "schema.rb"),
        }  # fmt: skip


class Projects:
    """The projects of one test, in a Redmine that others had theirs in."""

    def __init__(self, server: Server) -> None:
        server.start()
        self.server, self.prefix, url = server, f"t{next(server.numbers)}-", f"http://127.0.0.1:{server.port}"
        self.options: dict[str, Any] = {
            "kind": "redmine", "url": url, "attempts": 1, "requests_per_second": 1000,
            "key": {"env": "RAG_SECRET_REDMINE"}, "directory": "corp",
        }  # fmt: skip
        self._client = httpx.Client(base_url=url, headers={"X-Redmine-API-Key": server.key}, timeout=120)
        self._roles = {one["name"]: one["id"] for one in self._call("GET", "/roles.json")["roles"]}
        self._projects = list[str]()
        self.require_login(False)

    def put(self, name: str, text: str) -> None:
        self.wiki(self.project(_slug(name)).removeprefix(self.prefix), "Start", text)

    def remove(self, name: str) -> None:
        self._call("DELETE", f"/projects/{self.prefix}{_slug(name)}/wiki/Start.json")

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        path = f"/projects/{self.prefix}{_slug(name)}/memberships.json"
        for one in self._call("GET", path)["memberships"]:
            self._call("DELETE", f"/memberships/{one['id']}.json")
        for number in [*map(self._user, users), *map(self._group, groups)]:
            self._call("POST", path, membership={"user_id": number, "role_ids": [self._roles["Reader"]]})

    def project(self, name: str, *, public: bool = False, parent: str = "") -> str:
        identifier = f"{self.prefix}{name}"
        if identifier not in self._projects:
            about: dict[str, Any] = {"name": name, "identifier": identifier, "is_public": public}
            about |= {"enabled_module_names": ["wiki", "issue_tracking", "files"]}
            if parent:
                above = self._call("GET", f"/projects/{self.prefix}{parent}.json")["project"]["id"]
                about |= {"parent_id": above, "inherit_members": True}
            self._call("POST", "/projects.json", project=about)
            self._projects.append(identifier)
        return identifier

    def wiki(self, name: str, title: str, text: str, **files: bytes) -> None:
        page = {"text": text, "uploads": self._uploads(files)}
        self._call("PUT", f"/projects/{self.prefix}{name}/wiki/{quote(title)}.json", wiki_page=page)

    def member(self, name: str, user: str, *roles: str) -> None:
        about = {"user_id": self._user(user), "role_ids": [self._roles[one] for one in roles]}
        self._call("POST", f"/projects/{self.prefix}{name}/memberships.json", membership=about)

    def issue(self, name: str, subject: str, text: str = "", **more: Any) -> int:
        about = {"project_id": f"{self.prefix}{name}", "subject": subject, "description": text, "tracker_id": 1,
                 "is_private": more.get("private", False), "uploads": self._uploads(more.get("files", {}))}  # fmt: skip
        about |= {"assigned_to_id": self._user(more["assigned"])} if "assigned" in more else {}
        return int(self._call("POST", "/issues.json", issue=about)["issue"]["id"])

    def note(self, issue: int, text: str, *, private: bool = False, status: int = 1) -> None:
        about = {"notes": text, "private_notes": private, "status_id": status}
        self._call("PUT", f"/issues/{issue}.json", issue=about)

    def upload(self, name: str, file: str, content: bytes) -> None:
        (found,) = self._uploads({file: content})
        self._call("POST", f"/projects/{self.prefix}{name}/files.json", file=found)

    def set_state(self, name: str, state: str) -> None:
        self._call("PUT", f"/projects/{self.prefix}{name}/{state}.json")

    def require_login(self, required: bool) -> None:
        """The REST API has no settings. A time to come makes the server read them again with each request."""
        with sqlite3.connect(self.server.database, timeout=60) as database:
            database.execute("DELETE FROM settings WHERE name = 'login_required'")
            row = ("login_required", str(int(required)), "2099-01-01 00:00:00")
            database.execute("INSERT INTO settings (name, value, updated_on) VALUES (?, ?, ?)", row)
        database.close()

    def key_of(self, user: str) -> str:
        return str(self._call("GET", f"/users/{self._user(user)}.json")["user"]["api_key"])

    def lose(self) -> None:
        self.server.stop()

    def close(self) -> None:
        self.server.start()
        self.require_login(False)
        for one in self._projects:
            self._call("PUT", f"/projects/{one}/archive.json")
        self._client.close()

    def _user(self, login: str) -> int:
        known = {one["login"]: one["id"] for one in self._call("GET", "/users.json?limit=100")["users"]}
        if login not in known:
            about = {"login": login, "firstname": login, "lastname": "Acme", "mail": f"{login}@acme.example"}
            return int(self._call("POST", "/users.json", user=about | {"password": PASSWORD})["user"]["id"])
        return int(known[login])

    def _group(self, name: str) -> int:
        known = {one["name"]: one["id"] for one in self._call("GET", "/groups.json")["groups"]}
        return int(known.get(name) or self._call("POST", "/groups.json", group={"name": name})["group"]["id"])

    def _uploads(self, files: dict[str, bytes]) -> list[dict[str, str]]:
        found = []
        for name, content in files.items():
            headers = {"content-type": "application/octet-stream"}
            said = self._client.post("/uploads.json", params={"filename": name}, content=content, headers=headers)
            found.append({"token": said.json()["upload"]["token"], "filename": name, "content_type": "text/plain"})
        return found

    def _call(self, method: str, path: str, **body: Any) -> Any:
        answer = self._client.request(method, path, json=body or None)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json() if answer.text.strip() else {}


def _slug(name: str) -> str:
    return name.replace(".", "-")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="rag-redmine-") as folder:
        made = Server(Path(folder))
        yield made
        made.stop()


@pytest.fixture
def place(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Projects]:
    monkeypatch.setenv("RAG_SECRET_REDMINE", server.key)
    made = Projects(server)
    yield made
    made.close()


class TestRedmine(RedmineSuite):
    """The suite of every source of a Redmine."""
