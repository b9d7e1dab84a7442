"""The REST API of Redmine: its projects, what is in them, and who may read it.

https://www.redmine.org/projects/redmine/wiki/Rest_api; its parameters are those of Redmine 5.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from rag_assets.connectors.auth import HeaderAuth
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.paging import overlapping_pages
from rag_assets.connectors.redmine.options import RedmineOptions
from rag_core.errors import ConfigError, NotFound, Reason, Unavailable
from rag_core.governance.access import DENY, EVERYONE
from rag_core.governance.directories import principals
from rag_core.http_client import Fetched, FetchPolicy, Pacing

ACCOUNTS: Final = "builtin:non_member"
"""Every account of Redmine, to whom the role "Non member" opens public projects."""
_PAGE: Final = 100
_CLOSED: Final = 5
_MODULES: Final = {"wiki": "wiki", "issues": "issue_tracking", "files": "files"}
_PERMISSIONS: Final = {"wiki": "view_wiki_pages", "issues": "view_issues", "files": "view_files"}


@dataclass(frozen=True, slots=True)
class RedmineRole:
    """`issues` says which issues it may see: `all`, `default` (those that are not private) or `own`."""

    permissions: frozenset[str]
    issues: str


@dataclass(frozen=True, slots=True)
class Member:
    """A user or a group in a project. `name` is that of the directory; empty for a user who is locked."""

    id: int
    name: str
    roles: tuple[RedmineRole, ...]
    user: bool = False


@dataclass(frozen=True, slots=True)
class RedmineProject:
    """`members` are those who may read by their roles; `None` without a directory."""

    id: int
    identifier: str
    parts: tuple[str, ...]
    members: tuple[Member, ...] | None


class Redmine:
    """Reads one Redmine. Methods raise what `JsonHost` raises."""

    def __init__(self, options: RedmineOptions, policy: FetchPolicy) -> None:
        self._options = options
        pacing = Pacing(options.requests_per_second, options.attempts)
        login = HeaderAuth(type="header", name="X-Redmine-API-Key", value=options.key)
        self._host = JsonHost(options.url, policy, login, pacing, what="Redmine")
        self._anybody = JsonHost(options.url, policy, None, pacing, what="Redmine")

    def projects(self) -> dict[str, RedmineProject]:
        """The projects that are read, by their identifiers, with their members."""
        options, asked = self._options, {"include": "enabled_modules", "status": "1|5"}
        rows = list(self._rows("/projects.json", "projects", asked))
        known = {row["identifier"] for row in rows}
        if unknown := [one for one in options.projects if one not in known]:
            raise ConfigError(Reason.CONFIG_INVALID, f"Redmine shows no project {unknown[0]!r}; check `projects`")
        chosen = [
            row for row in rows
            if (not options.projects or row["identifier"] in options.projects)
            and row["identifier"] not in options.exclude and (options.closed_projects or row["status"] != _CLOSED)
        ]  # fmt: skip
        roles = self._roles() if options.directory else ({}, None, None)
        users = self._users() if options.directory else {}
        return {
            row["identifier"]: self._project(row, roles, users) for row in sorted(chosen, key=lambda row: row["id"])
        }

    def wiki_pages(self, project: RedmineProject) -> list[dict[str, Any]]:
        """Title and version of the pages of a project's wiki."""
        return list(self._host.get(f"/projects/{quote(project.identifier)}/wiki/index.json")["wiki_pages"])

    def wiki_page(self, identifier: str, title: str) -> dict[str, Any]:
        """Text and files of a page. Raises `NotFound` (`VANISHED`), also where the title leads to another page."""
        path = f"/projects/{quote(identifier)}/wiki/{quote(title, safe='')}.json"
        found = dict(self._host.get(path, {"include": "attachments"})["wiki_page"])
        if found["title"] != title:
            raise NotFound(Reason.VANISHED, "the page has another title now")
        return found

    def files(self, project: RedmineProject) -> list[dict[str, Any]]:
        """The files of a project."""
        return list(self._host.get(f"/projects/{quote(project.identifier)}/files.json")["files"])

    def newest_issue(self, project: RedmineProject) -> tuple[int, Any]:
        """The number of a project's issues, and the one that changed last: what a poll compares."""
        said = self._host.get("/issues.json", self._of(project) | {"sort": "updated_on:desc,id:desc", "limit": 1})
        return said["total_count"], [(row["id"], row["updated_on"]) for row in said["issues"]]

    def issues(self, project: RedmineProject) -> Iterator[dict[str, Any]]:
        """The issues of a project, open and closed, with their files."""
        return self._rows("/issues.json", "issues", self._of(project) | {"sort": "id", "include": "attachments"})

    def issue(self, number: int) -> dict[str, Any]:
        """One issue with its notes."""
        return dict(self._host.get(f"/issues/{number}.json", {"include": "journals,attachments"})["issue"])

    def file(self, number: int, name: str) -> Fetched:
        """The bytes of an attachment."""
        return self._host.read(f"/attachments/download/{number}/{quote(name, safe='')}")

    def readers(
        self, project: RedmineProject, part: str, issue: Mapping[str, Any] | None = None
    ) -> tuple[str, ...] | None:
        """Return who may read a part of a project, or one issue of it; `None` without a directory."""
        directory = self._options.directory
        if directory is None or project.members is None:
            return None
        sees = {one: _sees(one, _PERMISSIONS[part], issue) for one in project.members if one.name}
        found = [one.name for one, may in sees.items() if may]
        if ACCOUNTS in found and EVERYONE not in found:  # a member's own roles count, whatever other accounts may
            found = [*(f"{DENY}{one.name}" for one, may in sees.items() if one.user and not may), *found]
        return principals(directory, found) or (NOBODY,)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()
        self._anybody.close()

    def _project(self, row: Mapping[str, Any], roles: Any, users: Mapping[int, str]) -> RedmineProject:
        modules = {one["name"] for one in row["enabled_modules"]}
        parts = tuple(part for part in self._options.parts if _MODULES[part] in modules)
        members = None
        if self._options.directory is not None:
            members = tuple(self._members(row, roles, users)) if parts else ()
        return RedmineProject(row["id"], row["identifier"], parts, members)

    def _members(self, row: Mapping[str, Any], roles: Any, users: Mapping[int, str]) -> Iterator[Member]:
        """Users and groups; in a public project also those who are no members, by the roles that count for them."""
        by_id, non_member, anonymous = roles
        outside = {"group_non_member": non_member, "group_anonymous": anonymous} if row["is_public"] else {}
        named = {"group_non_member": ACCOUNTS, "group_anonymous": EVERYONE}
        for one in self._rows(f"/projects/{quote(row['identifier'])}/memberships.json", "memberships", {}):
            held = tuple(by_id[role["id"]] for role in one["roles"])
            if "user" in one:
                number = one["user"]["id"]
                yield Member(number, users.get(number, ""), held, user=True)
            elif "group" in one:
                yield Member(one["group"]["id"], f"group:{'_'.join(one['group']['name'].split())}", held)
            for kind in outside.keys() & one.keys():
                outside[kind] = held
        for kind, held in outside.items():
            if held is not None:
                yield Member(0, named[kind], held)

    def _roles(self) -> tuple[dict[int, RedmineRole], tuple[RedmineRole, ...] | None, tuple[RedmineRole, ...] | None]:
        """The roles by their numbers, and those of accounts and of anybody where they are no members.

        Redmine lists neither of these two. They are the first two numbers that the list leaves out.
        """
        listed = {row["id"] for row in self._host.get("/roles.json")["roles"]}
        found, built_in = dict[int, RedmineRole](), list[tuple[RedmineRole, ...]]()
        for number in range(1, max(listed, default=0) + 3):
            try:
                said = self._host.get(f"/roles/{number}.json")["role"]
            except NotFound:
                continue
            found[number] = RedmineRole(frozenset(said["permissions"]), str(said["issues_visibility"]))
            built_in += [] if number in listed else [(found[number],)]
        non_member, anonymous = built_in if len(built_in) == 2 else (None, None)
        return found, non_member, anonymous if self._opens_to_anybody() else None

    def _opens_to_anybody(self) -> bool:
        try:
            self._anybody.get("/projects.json", {"limit": 1})
        except Unavailable as error:
            if error.reason is Reason.ACCESS_REFUSED:
                return False
            raise
        return True

    def _users(self) -> dict[int, str]:
        """The names of the active accounts, which an administrator's key alone may list."""
        field = {"login": "login", "email": "mail"}[self._options.users]
        rows = self._rows("/users.json", "users", {"status": 1})
        return {row["id"]: f"{self._options.users}:{row[field]}" for row in rows if row[field]}

    def _of(self, project: RedmineProject) -> dict[str, str | int]:
        return {"project_id": project.identifier, "subproject_id": "!*", "status_id": "*"}

    def _rows(self, path: str, name: str, params: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        """Every row of a list."""

        def read(offset: int) -> tuple[list[dict[str, Any]], int]:
            said = self._host.get(path, {**params, "offset": offset, "limit": _PAGE})
            return said[name], said["total_count"]

        return overlapping_pages(read, "Redmine's list")


def _sees(member: Member, permission: str, issue: Mapping[str, Any] | None) -> bool:
    return any(_shows(role, member, issue) for role in member.roles if permission in role.permissions)


def _shows(role: RedmineRole, member: Member, issue: Mapping[str, Any] | None) -> bool:
    if issue is None:
        return True
    own = member.id in {(issue.get(name) or {}).get("id") for name in ("author", "assigned_to")}
    if role.issues == "all" and member.name != EVERYONE:
        return True
    return own or (role.issues in ("all", "default") and not issue["is_private"])
