"""A fake of Jira, Cloud and Data Center, that follows their documentation of 1 December 2026.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/, https://developer.atlassian.com/server/jira/platform/rest/.
It answers the paths and parameters that are documented there, and refuses all others.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked

TOKEN, USER = "secret-token", "rag@acme.example"


@dataclass
class Ticket:
    """An issue. `files` are names and contents by id; a comment is its text and what it is limited to."""

    id: str
    project: str
    number: int
    summary: str
    text: str = ""
    updated: int = 1
    level: str = ""
    reporter: str = "rep"
    assignee: str | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.project}-{self.number}"


class Refusal(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.answer = Answer.json({"errorMessages": [message], "errors": {}}, status)


class FakeJira:
    """One site. `page` is the number of rows that it gives at once, whatever is asked for."""

    def __init__(self, server: FakeServer, edition: str, page: int = 3) -> None:
        self.server, self.edition, self.page = server, edition, page
        self.tickets: dict[str, Ticket] = {}
        self.grants: dict[str, list[dict[str, Any]]] = {}
        self.roles: dict[str, dict[str, list[str]]] = {"10": {"user": ["bob"], "group": ["writers"]}}
        self.levels: dict[str, list[dict[str, Any]]] = {}
        self.groups: dict[str, list[str]] = {"writers": ["ann", "wil"], "staff": ["ann", "bob", "eve", "wil"]}
        self.emails: dict[str, str] = {}
        self.archived: set[str] = set()
        self.is_administrator = True
        self.signed_in: Callable[[], bool] = lambda: True
        self._ids, self._clock = itertools.count(10_001), itertools.count(1)
        self.grants["DOC"] = [
            self.holder("group", "writers"),
            *(self.holder("user", one) for one in ("ann", "bob", "eve")),
        ]
        self.server.reply("/*", self._answer)
        login: dict[str, Any] = {"type": "bearer", "token": {"env": "RAG_SECRET_JIRA"}}
        if edition == "cloud":
            login = {"type": "basic", "user": USER, "password": {"env": "RAG_SECRET_JIRA"}}
        self.options: dict[str, Any] = {
            "kind": "jira", "url": server.url(), "edition": edition, "auth": login, "attempts": 1,
            "requests_per_second": 1000,
        }  # fmt: skip

    # What a test changes.

    def add(self, summary: str, text: str = "", project: str = "DOC", **more: Any) -> Ticket:
        number = int(next(self._ids))
        made = Ticket(str(number), project, number, summary, text, **more)
        self.tickets[made.id] = made
        return made

    def attach(self, ticket: Ticket, name: str, text: str) -> None:
        ticket.files[str(next(self._ids))] = (name, text)

    def named(self, summary: str) -> Ticket:
        return next(one for one in self.tickets.values() if one.summary == summary)

    def put(self, name: str, text: str) -> None:
        found = [one for one in self.tickets.values() if one.summary == name] or [self.add(name)]
        found[0].text, found[0].updated = text, next(self._clock) + 1

    def remove(self, name: str) -> None:
        del self.tickets[self.named(name).id]

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        """By a security level; where these are not told, by a project of its own."""
        holders = [*(self.holder("user", one) for one in users), *(self.holder("group", one) for one in groups)]
        if self.edition == "cloud":
            self.named(name).level = f"2{name[0]}"
            self.levels[f"2{name[0]}"] = holders
        else:
            self.named(name).project = f"P{name[0].upper()}"
            self.grants[f"P{name[0].upper()}"] = holders

    def lose(self) -> None:
        self.server.lose()

    # What it answers.

    def _answer(self, asked: Asked) -> Answer:
        cloud = self.edition == "cloud"
        login = f"Basic {base64.b64encode(f'{USER}:{TOKEN}'.encode()).decode()}" if cloud else f"Bearer {TOKEN}"
        if asked.headers.get("authorization") != login:
            return Answer.json({"message": "Unauthorized"}, 401)
        prefix = "/rest/api/3" if cloud else "/rest/api/2"
        try:
            for edition, pattern, parameters, reply in _ROUTES:
                whole = pattern if pattern.startswith("/secure") else prefix + pattern
                match = re.fullmatch(whole, asked.path)
                if match and asked.method == "GET" and edition in ("both", self.edition):
                    if unknown := set(asked.query) - set(parameters.split()):
                        raise Refusal(400, f"unknown parameters {sorted(unknown)}")
                    said = reply(self, asked, *match.groups())
                    return said if isinstance(said, Answer) else Answer.json(said)
        except Refusal as refusal:
            return refusal.answer
        return Answer.json({"errorMessages": ["Not found"]}, 404)

    def user(self, name: str | None) -> dict[str, Any] | None:
        if name is None:
            return None
        if self.edition == "cloud":
            shown = {"emailAddress": self.emails[name]} if name in self.emails else {}
            return {"accountId": name, "displayName": name.title(), "active": True} | shown
        return {"name": name, "key": f"key-{name}", "displayName": name.title(), "emailAddress": f"{name}@acme.example"}

    def holder(self, kind: str, name: str = "") -> dict[str, Any]:
        if kind == "user":  # expanded, as it is asked for
            return {"type": "user", "parameter": f"key-{name}" if self.edition == "data_center" else name,
                    "user": self.user(name), "expand": "user"}  # fmt: skip
        if kind == "group":
            return {"type": "group", "parameter": name, "value": f"id-of-{name}", "expand": "group"}
        return {"type": kind} | ({"parameter": name} if name else {})

    def shown(
        self, asked: Asked, rows: Iterable[Any], rows_in: str = "values", made: Callable[[Any], Any] = lambda row: row
    ) -> dict[str, Any]:
        found, start = list(rows), int(asked.query.get("startAt", 0))
        size = min(int(asked.query.get("maxResults", 50)), self.page)
        said: dict[str, Any] = {rows_in: [*map(made, found[start : start + size])]}
        said |= {"startAt": start, "maxResults": size, "total": len(found)}
        return said | ({"isLast": start + size >= len(found)} if rows_in == "values" else {})

    def ticket(self, key_or_id: str) -> Ticket:
        found = self.tickets.get(key_or_id)
        if found is None or not self.signed_in():
            raise Refusal(404, "Issue does not exist or you do not have permission to see it.")
        return found

    def found(self, jql: str) -> list[Ticket]:
        match = re.fullmatch(r'project = "(\w+)"(?: AND \(labels = (\w+)\))? ORDER BY key ASC', jql)
        if match is None:
            raise Refusal(400, f"Error in the JQL Query: {jql}")
        rows = [one for one in self.tickets.values() if one.project == match[1] and match[2] in (None, *one.labels)]
        return sorted(rows, key=lambda one: one.number) if self.signed_in() else []

    def issue(self, one: Ticket, fields: str, *, rendered: bool = False) -> dict[str, Any]:
        files = [{"id": number, "filename": name, "size": len(text.encode()), "mimeType": "text/plain"}
                 for number, (name, text) in one.files.items()]  # fmt: skip
        every = {
            "project": {"key": one.project}, "updated": f"2026-11-30T10:00:00.{one.updated:03}+0000",
            "security": {"id": one.level, "name": "secret"} if one.level else None, "attachment": files,
            "reporter": self.user(one.reporter), "assignee": self.user(one.assignee), "summary": one.summary,
            "description": {"type": "doc"}, "status": {"name": "Open"}, "issuetype": {"name": "Bug"},
            "labels": one.labels, "comment": {"comments": [], "total": len(one.comments)},
        }  # fmt: skip
        said: dict[str, Any] = {"id": one.id, "key": one.key}
        said["fields"] = {name: every[name] for name in fields.split(",")}
        return said | ({"renderedFields": {"description": one.text}} if rendered else {})


def _myself(site: FakeJira, _: Asked) -> Any:
    if not site.signed_in():
        raise Refusal(401, "Client must be authenticated to access this resource.")
    return site.user("rag")


def _projects(site: FakeJira, asked: Asked) -> Any:
    if asked.query.get("expand") != "lead":
        raise Refusal(400, "expand")
    keys = [one for one in site.grants if one not in site.archived] if site.signed_in() else []
    rows = [{"key": one, "lead": site.user("led")} for one in keys]
    return site.shown(asked, rows) if site.edition == "cloud" else rows


def _search_jql(site: FakeJira, asked: Asked) -> Any:
    rows, start = site.found(asked.query["jql"]), int(asked.query.get("nextPageToken", "t0")[1:])
    size = min(int(asked.query.get("maxResults", 50)), site.page)
    fields = asked.query.get("fields", "id")
    found = [site.issue(one, fields) for one in rows[start : start + size]]
    more = {"nextPageToken": f"t{start + size}"} if start + size < len(rows) else {}
    return {"issues": found, "isLast": not more} | more


def _search(site: FakeJira, asked: Asked) -> Any:
    found = site.found(asked.query["jql"])
    return site.shown(asked, found, "issues", lambda one: site.issue(one, asked.query["fields"]))


def _issue(site: FakeJira, asked: Asked, key: str) -> Any:
    return site.issue(site.ticket(key), asked.query["fields"], rendered=asked.query.get("expand") == "renderedFields")


def _comments(site: FakeJira, asked: Asked, key: str) -> Any:
    if asked.query.get("expand") != "renderedBody":
        raise Refusal(400, "expand")
    rows = [{"author": site.user("cy"), "created": "2026-11-29T10:00:00.000+0000", "renderedBody": text}
            | ({"visibility": {"type": "role", "value": limit}} if limit else {})
            for text, limit in site.ticket(key).comments]  # fmt: skip
    return site.shown(asked, rows, "comments")


def _scheme(site: FakeJira, asked: Asked, key: str) -> Any:
    if "permissions" not in asked.query.get("expand", ""):
        return {"id": 1}
    other = {"permission": "EDIT_ISSUES", "holder": site.holder("anyone")}
    return {
        "id": 1,
        "permissions": [other, *({"permission": "BROWSE_PROJECTS", "holder": one} for one in site.grants[key])],
    }


def _role(site: FakeJira, _: Asked, __: str, role: str) -> Any:
    actors = []
    for kind, names in site.roles[role].items():
        for name in names:
            about = {"actorUser": {"accountId": name}} if kind == "user" else {"actorGroup": {"name": name}}
            cloud = site.edition == "cloud"
            actors.append({"type": f"atlassian-{kind}-role-actor"} | (about if cloud else {"name": name}))
    return {"id": int(role), "actors": actors}


def _level(site: FakeJira, asked: Asked) -> Any:
    if not site.is_administrator:
        raise Refusal(403, "Administer Jira")
    return site.shown(asked, [{"id": "1", "holder": one} for one in site.levels[asked.query["levelId"]]])


def _members(site: FakeJira, asked: Asked) -> Any:
    if asked.query["groupname"] not in site.groups:
        raise Refusal(404, "group")
    return site.shown(asked, map(site.user, site.groups[asked.query["groupname"]]))


def _users(site: FakeJira, asked: Asked) -> Any:
    # The last of repeated parameters is what the server of tests has: a test gives one address at a time.
    return {"values": [site.user(asked.query["accountId"])], "isLast": True}


def _content(site: FakeJira, asked: Asked, file: str) -> Answer:
    if asked.query.get("redirect") != "false":
        return Answer(status=303, headers={"location": "http://127.0.0.2:9/"})
    return _file(site, asked, file, "")


def _file(site: FakeJira, _: Asked, file: str, __: str) -> Answer:
    found = [one.files[file][1] for one in site.tickets.values() if file in one.files]
    return Answer(found[0].encode()) if found else Answer(status=404)


_PAGED = "startAt maxResults"
_ROUTES: list[tuple[str, str, str, Callable[..., Any]]] = [
    ("both", "/myself", "expand", _myself),
    ("cloud", "/project/search", f"{_PAGED} orderBy keys query typeKey status expand", _projects),
    ("data_center", "/project", "expand recent includeArchived", _projects),
    ("cloud", "/search/jql", "jql nextPageToken maxResults fields expand reconcileIssues", _search_jql),
    ("data_center", "/search", f"jql {_PAGED} validateQuery fields expand", _search),
    ("both", "/issue/([^/]+)", "fields expand properties", _issue),
    ("both", "/issue/([^/]+)/comment", f"{_PAGED} orderBy expand", _comments),
    ("both", "/project/([^/]+)/permissionscheme", "expand", _scheme),
    ("both", "/project/([^/]+)/role/([^/]+)", "excludeInactiveUsers", _role),
    ("cloud", "/issuesecurityschemes/level/member", f"{_PAGED} id schemeId levelId expand", _level),
    ("both", "/group/member", f"{_PAGED} groupname groupId includeInactiveUsers", _members),
    ("cloud", "/user/bulk", f"{_PAGED} accountId", _users),
    ("cloud", "/attachment/content/([^/]+)", "redirect", _content),
    ("data_center", "/secure/attachment/([^/]+)/(.+)", "", _file),
]
