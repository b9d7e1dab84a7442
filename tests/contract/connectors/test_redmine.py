"""Sources of a Redmine against a fake that answers as Redmine 5.0 does; tests/real_servers/wikis has the real one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import time_machine

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked
from rag_core.content.sources import TransientMemory
from tests.support.redmine_suite import ROLES, RedminePlace, RedmineSuite

MODULES = ("wiki", "issue_tracking", "files")
BUILT_IN = {
    "Non member": ("default", ("view_wiki_pages", "view_issues")),
    "Anonymous": ("default", ("view_wiki_pages",)),
}
ISSUES = {"subproject_id": "!*", "status_id": "*"}


class FakeRedmine:
    """https://www.redmine.org/projects/redmine/wiki/Rest_api: an administrator's key, and another one."""

    prefix = "t1-"

    def __init__(self, server: FakeServer) -> None:
        self.server, self.page, self._ids, self._clock = server, 3, itertools.count(1), itertools.count(1)
        self.projects, self.issues, self.users, self.groups = {}, {}, {}, {}  # type: ignore[var-annotated]
        self.contents, self.login_required = dict[int, tuple[str, bytes]](), False
        self.roles = dict(enumerate({**BUILT_IN, **ROLES}.items(), 1))
        server.reply("/*", self._answer)
        self.options: dict[str, Any] = {
            "kind": "redmine", "url": server.url(), "attempts": 1, "requests_per_second": 1000,
            "key": {"env": "RAG_SECRET_REDMINE"}, "directory": "corp",
        }  # fmt: skip

    def put(self, name: str, text: str) -> None:
        self.project(_slug(name))
        self.wiki(_slug(name), "Start", text)

    def remove(self, name: str) -> None:
        del self._of(_slug(name))["wiki"]["Start"]

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        self._of(_slug(name))["members"] = []
        for user in users:
            self.member(_slug(name), user, "Reader")
        for group in groups:
            self._member(name, "group", self.groups.setdefault(group, next(self._ids)), group, ["Reader"])

    def project(self, name: str, *, public: bool = False, parent: str = "") -> str:
        members = list(self._of(parent)["members"]) if parent else []
        about = {"id": next(self._ids), "public": public, "status": 1, "members": members, "wiki": {}, "files": []}
        return str(self.projects.setdefault(f"{self.prefix}{name}", about) and f"{self.prefix}{name}")

    def wiki(self, name: str, title: str, text: str, **files: bytes) -> None:
        page = self._of(name)["wiki"].setdefault(title, {"title": title, "version": 0, "attachments": []})
        page |= {"text": text, "version": page["version"] + 1, "updated_on": self._now()}
        page["attachments"] += self._attached(files)

    def member(self, name: str, user: str, *roles: str) -> None:
        self._member(name, "user", self.users.setdefault(user, next(self._ids)), user, list(roles))

    def issue(self, name: str, subject: str, text: str = "", **more: Any) -> int:
        number, project = next(self._ids), f"{self.prefix}{name}"
        login = more.get("assigned", "")
        assigned = {"assigned_to": {"id": self.users.setdefault(login, next(self._ids))}} if login else {}
        self.issues[number] = {
            "id": number, "project": {"id": self.projects[project]["id"]}, "tracker": {"id": 1, "name": "Bug"},
            "status": {"id": 1, "name": "New"}, "author": {"id": 0, "name": "Redmine Admin"}, "subject": subject,
            "description": text, "is_private": more.get("private", False), "updated_on": self._now(), "journals": [],
            "attachments": self._attached(more.get("files", {})), **assigned,
        }  # fmt: skip
        return number

    def note(self, issue: int, text: str, *, private: bool = False, status: int = 1) -> None:
        status_name = {1: "New", 5: "Closed"}[status]
        note = {"notes": text, "private_notes": private, "created_on": self._now(), "user": {"id": 0, "name": "Admin"}}
        self.issues[issue]["journals"].append(note)
        self.issues[issue] |= {"status": {"id": status, "name": status_name}, "updated_on": self._now()}

    def upload(self, name: str, file: str, content: bytes) -> None:
        self._of(name)["files"] += self._attached({file: content})

    def set_state(self, name: str, state: str) -> None:
        self._of(name)["status"] = {"close": 5, "archive": 9}[state]

    def require_login(self, required: bool) -> None:
        self.login_required = required

    def key_of(self, user: str) -> str:
        return "key-of-ann"

    def lose(self) -> None:
        self.server.lose()

    def _of(self, name: str) -> dict[str, Any]:
        return dict.__getitem__(self.projects, f"{self.prefix}{name}")

    def _now(self) -> str:
        number = next(self._clock)
        return f"2026-12-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"

    def _member(self, name: str, kind: str, number: int, title: str, roles: Sequence[str]) -> None:
        named = {one: number for number, (one, _) in self.roles.items()}
        member = {"id": next(self._ids), kind: {"id": number, "name": title.title()}}
        member |= {kind: {"id": number, "name": title}} if kind == "group" else {}
        self._of(_slug(name))["members"].append(member | {"roles": [{"id": named[one]} for one in roles]})

    def _attached(self, files: dict[str, bytes]) -> list[dict[str, Any]]:
        found = []
        for name, content in files.items():
            number = next(self._ids)
            self.contents[number] = name, content
            found.append({"id": number, "filename": name, "filesize": len(content), "created_on": self._now()})
        return found

    def _answer(self, asked: Asked) -> Answer:
        key = asked.headers.get("x-redmine-api-key")
        if key not in ("key", "key-of-ann") and (key is not None or self.login_required):
            return Answer(status=401)
        if found := re.fullmatch(r"/attachments/download/(\d+)/(.*)", asked.path):
            name, content = self.contents[int(found[1])]
            return Answer(content, headers={"content-type": "text/plain"}) if name == found[2] else Answer(status=404)
        if asked.path == "/users.json" and key != "key":
            return Answer(status=403)
        said = self._said(asked.path, asked.query, everything=key == "key")
        return Answer(status=404) if said is None else Answer.json(said)

    def _said(self, path: str, query: dict[str, str], *, everything: bool) -> dict[str, Any] | None:
        if path == "/projects.json":
            ann, states = self.users.get("ann"), query.get("status", "1").split("|")
            rows = [
                {"id": one["id"], "identifier": name, "status": one["status"], "is_public": one["public"],
                 "enabled_modules": [{"name": module} for module in MODULES]}
                for name, one in self.projects.items() if str(one["status"]) in states
                and (everything or ann in [found.get("user", {}).get("id") for found in one["members"]])
            ]  # fmt: skip
            return self._rows("projects", rows, query, {"include": "enabled_modules", "status": "1|5"})
        if path == "/roles.json":
            return {"roles": [{"id": number, "name": one} for number, (one, _) in self.roles.items() if one in ROLES]}
        if (found := re.fullmatch(r"/roles/(\d+)\.json", path)) and int(found[1]) in self.roles:
            name, (issues, may) = self.roles[int(found[1])]
            return {"role": {"id": int(found[1]), "name": name, "issues_visibility": issues, "permissions": may}}
        if path == "/users.json":
            rows = [{"id": one, "login": name, "mail": f"{name}@Acme.example"} for name, one in self.users.items()]
            return self._rows("users", rows, query, {"status": "1"})
        if path == "/issues.json":
            return self._list_issues(query, everything=everything)
        if found := re.fullmatch(r"/issues/(\d+)\.json", path):
            issue = self.issues.get(int(found[1]))
            return {"issue": issue} if issue and query == {"include": "journals,attachments"} else None
        found = re.fullmatch(r"/projects/([^/]+)/(.*)\.json", path)
        return self._of_project(self.projects.get(found[1]), found[2], query) if found else None

    def _of_project(self, project: Any, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        if project is None or project["status"] == 9:
            return None
        if path == "memberships":
            return self._rows("memberships", project["members"], query, {})
        if path == "files":
            return {"files": project["files"]}
        if path == "wiki/index":
            names = ("title", "version", "updated_on")
            return {"wiki_pages": [{name: page[name] for name in names} for page in project["wiki"].values()]}
        titles = {title.lower(): page for title, page in project["wiki"].items()}
        page = titles.get(path.removeprefix("wiki/").lower())
        return {"wiki_page": page} if page and query == {"include": "attachments"} else None

    def _list_issues(self, query: dict[str, str], *, everything: bool) -> dict[str, Any]:
        number, order = self.projects[query["project_id"]]["id"], query["sort"]
        rows = [
            one for one in self.issues.values()
            if one["project"]["id"] == number and (everything or not one["is_private"])
        ]  # fmt: skip
        known = {**ISSUES, "project_id": query["project_id"], "sort": order}
        known |= {"include": "attachments"} if order == "id" else {}
        if order == "updated_on:desc,id:desc":
            rows.sort(key=lambda one: (one["updated_on"], one["id"]), reverse=True)
        said = self._rows("issues", rows, query, known)
        without = [{name: value for name, value in one.items() if name != "journals"} for one in said["issues"]]
        return said | {"issues": without}

    def _rows(self, name: str, rows: list[Any], query: dict[str, str], known: dict[str, str]) -> dict[str, Any]:
        """A part of a list; Redmine never gives more rows than it allows at once."""
        if query.items() - {("limit", query["limit"]), ("offset", query.get("offset"))} != known.items():
            assert query.keys() <= {"limit"}, query  # the request that asks whether anybody may read
        start, most = int(query.get("offset", 0)), min(int(query["limit"]), self.page)
        return {name: rows[start : start + most], "total_count": len(rows), "offset": start, "limit": most}


def _slug(name: str) -> str:
    return name.replace(".", "-")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRedmine]:
    monkeypatch.setenv("RAG_SECRET_REDMINE", "key")
    with FakeServer() as server:
        yield FakeRedmine(server)


class TestRedmine(RedmineSuite):
    """The suite of every source of a Redmine, and what the fake alone can be made to do."""

    def test_twelve_thousand_issues_are_listed_with_few_requests(self, place: FakeRedmine) -> None:
        place.page = 100
        place.project("pumps")
        for number in range(12_000):
            place.issue("pumps", f"Leak {number}")
        with self.connect(place) as connector:
            assert (len(self.listed(connector)), len(place.server.requests) < 150) == (12_000, True)

    def test_an_issue_that_goes_while_a_list_is_read_hides_no_other(self, place: FakeRedmine) -> None:
        place.project("pumps")
        numbers = [place.issue("pumps", "Leak") for _ in range(8)]

        def answer(asked: Asked) -> Answer:
            if asked.query.get("include") == "attachments" and asked.query.get("offset") == "2":
                place.issues.pop(numbers[0], None)
                place.issue("pumps", "New") if len(place.issues) < 8 else None
            return place._answer(asked)

        place.server.reply("/issues.json", answer)
        with self.connect(place) as connector:
            listing = connector.list_items()
            list(listing)
        assert (listing.complete, str(listing.error).partition(":")[0]) == (False, "LISTING_INCOMPLETE")

    def test_files_of_a_page_are_asked_for_once_a_version(self, place: FakeRedmine) -> None:
        place.project("pumps")
        place.wiki("pumps", "Start", "Text.", **{"a.csv": b"a"})
        memory = TransientMemory()
        first = self.state(place, memory)
        place.server.requests.clear()
        assert self.state(place, memory) == first
        assert not [one for one in place.server.requests if one.path.endswith("/wiki/Start.json")]
        place.wiki("pumps", "Start", "Text.", **{"b.csv": b"b"})
        assert len(self.state(place, memory)[0]) == 3

    def test_a_note_that_became_private_is_gone_when_the_issue_is_read_again(self, place: FakeRedmine) -> None:
        place.project("pumps")
        number = place.issue("pumps", "Leak")
        place.note(number, "The customer is difficult.")
        with time_machine.travel("2026-12-01T12:00:00Z", tick=False):
            before = self.state(place)[0]
        place.issues[number]["journals"][0]["private_notes"] = True  # which changes nothing else of the issue
        with time_machine.travel("2026-12-08T12:00:00Z", tick=False):
            assert self.state(place)[0] != before
            assert b"difficult" not in self.read(place)[f"issues/{number}"].content

    def test_users_can_be_named_by_their_mail(self, place: FakeRedmine) -> None:
        place.put("a.txt", "The first text.")
        place.share("a.txt", ["eve"], ["Project team"])
        acl = self.read(place, users="email")["wiki/a-txt/Start"].acl
        assert acl == ("corp/email:eve@acme.example", "corp/group:Project_team")

    @pytest.mark.parametrize(
        ("path", "answer", "reason"),
        [
            ("/projects.json", Answer(b"<html>Sign in</html>"), "RESPONSE_INVALID"),
            ("/projects.json", Answer.json({"projects": []}), "RESPONSE_INVALID"),
            ("/projects/t1-a-txt/wiki/index.json", Answer(status=403), "ACCESS_REFUSED"),
            ("/projects/t1-a-txt/wiki/index.json", Answer(status=404), "LISTING_INCOMPLETE"),
            ("/projects/t1-a-txt/memberships.json", Answer(status=429), "RATE_LIMITED"),
            ("/projects/t1-a-txt/files.json", Answer.json([]), "RESPONSE_INVALID"),
            ("/issues.json", Answer(status=500), "HTTP_STATUS"),
            ("/users.json", Answer.json({"users": [], "total_count": 9}), "PAGINATION_LOOP"),
        ],
    )
    def test_an_answer_that_is_no_list_is_no_empty_one(
        self, place: FakeRedmine, path: str, answer: Answer, reason: str
    ) -> None:
        self.fill(place)
        place.server.fail(path, answer)
        with self.connect(place) as connector:
            listing = connector.list_items()
            list(listing)
        assert (listing.complete, str(listing.error).partition(":")[0]) == (False, reason)


def test_the_fake_is_a_place() -> None:
    """Type check only: what the suite asks of a Redmine is what the fake has."""
    _: type[RedminePlace] = FakeRedmine
