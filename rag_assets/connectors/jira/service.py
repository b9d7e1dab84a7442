"""The calls of Jira: https://developer.atlassian.com/cloud/jira/platform/rest/v3/ for Cloud,
https://developer.atlassian.com/server/jira/platform/rest/ for Data Center.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from rag_assets.connectors.atlassian import ANY_ACCOUNT, EVERYONE, Readers, group_name
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.paging import all_pages, overlapping_pages
from rag_core.errors import NotFound, Reason, Unavailable

REPORTER: Final = "field:reporter"
ASSIGNEE: Final = "field:assignee"
"""Grants to the person in a field of an issue."""
_LISTED: Final = "project,updated,security,reporter,assignee,attachment"
_TOGETHER: Final = 100
"""Issues, members and people that one request is asked for."""


@dataclass(frozen=True, slots=True)
class JiraProject:
    """A project; `lead` is its lead as a reader, if there is one."""

    key: str
    lead: str = ""


@dataclass(frozen=True, slots=True)
class JiraAttachment:
    """A file of an issue. It never changes."""

    id: str
    name: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as a list has it. `people` are the readers in its fields, by grant; `level` is its security level."""

    id: str
    project: str
    updated: str
    level: str
    people: Mapping[str, str]
    attachments: tuple[JiraAttachment, ...]


class Jira:
    """One site. Cloud and Data Center differ in the version of the API, in how lists are paged, and in names."""

    def __init__(self, host: JsonHost, *, cloud: bool) -> None:
        self._host, self._cloud = host, cloud
        self._api = f"/rest/api/{3 if cloud else 2}"
        self._users: dict[str, str] = {}

    def require_sign_in(self) -> None:
        """Raise `Unavailable` (`ACCESS_REFUSED`) unless the site knows the account: it answers searches with an ended
        token as it answers anonymous visitors, with status 200 and without issues."""
        self._host.get(f"{self._api}/myself")

    def projects(self) -> list[JiraProject]:
        """The projects that are neither archived nor deleted."""
        if self._cloud:
            found = self._values("/project/search", {"status": "live", "expand": "lead"})
        else:
            found = iter(self._host.get(f"{self._api}/project", {"expand": "lead"}))
        return [JiraProject(str(one["key"]), self._user(one.get("lead"))) for one in found]

    def issues(self, project: str, jql: str | None) -> Iterator[Issue]:
        """The issues of a project, in the order of their keys.

        Raises `Unavailable` (`PAGINATION_LOOP`), and `LISTING_INCOMPLETE` when rows shift while they are read.
        """
        query: dict[str, str | int] = {"fields": _LISTED, "maxResults": _TOGETHER}
        query["jql"] = f'project = "{project}"' + (f" AND ({jql})" if jql else "") + " ORDER BY key ASC"
        rows = self._by_token(query) if self._cloud else self._by_number(query)
        return map(self._issue, rows)

    def issue(self, issue_id: str, fields: str = _LISTED) -> tuple[Issue, dict[str, Any]]:
        """An issue, and what the service says of it. Raises `NotFound`."""
        path = f"{self._api}/issue/{quote(issue_id, safe='')}"
        said = self._host.get(path, {"fields": f"{_LISTED},{fields}", "expand": "renderedFields"})
        return self._issue(said), said

    def comments(self, issue_id: str) -> Iterator[dict[str, Any]]:
        """The comments of an issue that are for all who may read it: some are for a role or group only."""
        path = f"/issue/{quote(issue_id, safe='')}/comment"
        found = self._values(path, {"expand": "renderedBody", "orderBy": "created"}, "comments")
        return (one for one in found if not one.get("visibility"))

    def download(self, attachment: JiraAttachment) -> bytes:
        """The content of an attachment. Raises `NotFound`."""
        if self._cloud:  # from this host, not by a redirect to another one
            return self._host.read(f"{self._api}/attachment/content/{attachment.id}", {"redirect": "false"}).content
        return self._host.read(f"/secure/attachment/{attachment.id}/{quote(attachment.name, safe='')}").content

    def project_readers(self, project: JiraProject) -> Readers:
        """The readers of a project, nobody when it has no scheme. Needs the permission to administer it."""
        path = f"{self._api}/project/{project.key}/permissionscheme"
        try:
            grants = self._host.get(path, {"expand": "permissions,user,group"})["permissions"]
        except NotFound:
            return frozenset()
        return self._holders((one["holder"] for one in grants if one["permission"] == "BROWSE_PROJECTS"), project)

    def level_readers(self, level: str, project: JiraProject) -> Readers:
        """The members of a security level; nobody where the service does not name them: Data Center has no such call,
        and Cloud answers administrators of Jira, for projects that a company manages."""
        if not self._cloud:
            return frozenset()
        query = {"levelId": level, "expand": "user,group"}
        try:
            found = list(self._values("/issuesecurityschemes/level/member", query))
        except Unavailable as error:
            if error.reason is not Reason.ACCESS_REFUSED:
                raise
            return frozenset()
        return self._holders((one["holder"] for one in found), project)

    def members(self, group: str) -> Readers:
        """The users of a group, by its name in `Readers`; nobody when it is deleted."""
        query = {"groupname": group.removeprefix("group:"), "includeInactiveUsers": "false"}
        try:
            return frozenset(self._user(one) for one in self._values("/group/member", query)) - {""}
        except NotFound:
            return frozenset()

    def names(self, readers: Readers) -> list[str]:
        """The names of readers as directories have them."""
        of = {kind: [one for one in sorted(readers) if one.startswith(f"{kind}:")] for kind in ("user", "group")}
        others = sorted(one for one in readers if one == EVERYONE or one.startswith("application:"))
        groups = (group_name(one.removeprefix("group:")) for one in of["group"])
        return [*others, *self._people([one.removeprefix("user:") for one in of["user"]]), *groups]

    def _holders(self, holders: Iterable[Mapping[str, Any]], project: JiraProject) -> Readers:
        """The holders of a permission. Those that are not known here (fields of one's own, customers) grant nothing."""
        found = set[str]()
        for one in holders:
            parameter = str(one.get("parameter") or "")
            match one["type"]:
                case "anyone":
                    found.add(EVERYONE)
                case "applicationRole":
                    found.add(f"application:{parameter}" if parameter else ANY_ACCOUNT)
                case "user":
                    found.add(self._user(one.get("user")) or (f"user:{parameter}" if parameter and self._cloud else ""))
                case "group":
                    found.add(f"group:{(one.get('group') or {}).get('name') or parameter}")
                case "projectRole":
                    found |= self._role(project.key, parameter)
                case "projectLead":
                    found.add(project.lead)
                case "reporter" | "assignee":
                    found.add(f"field:{one['type']}")
        return frozenset(found - {""})

    def _role(self, project: str, role: str) -> Readers:
        actors = self._host.get(f"{self._api}/project/{project}/role/{quote(role, safe='')}")["actors"]
        found = set[str]()
        for one in actors:
            if one["type"] == "atlassian-group-role-actor":
                found.add(f"group:{(one.get('actorGroup') or one)['name']}")
            else:
                found.add(self._user(one.get("actorUser") if self._cloud else one))
        return frozenset(found - {""})

    def _user(self, said: Mapping[str, Any] | None) -> str:
        """A user as a reader; empty when there is none. A mail address is remembered where it is shown."""
        name = str((said or {}).get("accountId" if self._cloud else "name") or "")
        if said and said.get("emailAddress"):
            self._users[name] = f"email:{said['emailAddress']}"
        return f"user:{name}" if name else ""

    def _people(self, ids: list[str]) -> list[str]:
        if not self._cloud:
            return [f"login:{one}" for one in ids]
        missing = [one for one in ids if one not in self._users]
        for start in range(0, len(missing), _TOGETHER):
            some = missing[start : start + _TOGETHER]
            self._users |= {one: f"account:{one}" for one in some}
            query = urlencode([("maxResults", str(_TOGETHER)), *(("accountId", one) for one in some)])
            for said in self._host.get(f"{self._api}/user/bulk?{query}")["values"]:
                self._user(said)
        return [self._users[one] for one in ids]

    def _issue(self, said: Mapping[str, Any]) -> Issue:
        fields = said["fields"]
        people = {f"field:{name}": self._user(fields.get(name)) for name in ("reporter", "assignee")}
        files = tuple(
            JiraAttachment(str(one["id"]), str(one["filename"]), int(one["size"]), str(one.get("mimeType") or ""))
            for one in fields.get("attachment") or ()
        )
        level = str((fields.get("security") or {}).get("id") or "")
        return Issue(str(said["id"]), str(fields["project"]["key"]), str(fields["updated"]), level, people, files)

    def _by_token(self, query: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        def read(token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            page = self._host.get(f"{self._api}/search/jql", {**query, **({"nextPageToken": token} if token else {})})
            return page["issues"], page.get("nextPageToken") or None

        return all_pages(read, "Jira's search")

    def _by_number(self, query: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        def read(start: int) -> tuple[list[dict[str, Any]], int]:
            page = self._host.get(f"{self._api}/search", {**query, "startAt": start})
            return page["issues"], int(page["total"])

        return overlapping_pages(read, "Jira's search")

    def _values(self, path: str, query: Mapping[str, str | int], rows_in: str = "values") -> Iterator[dict[str, Any]]:
        start = 0
        while True:
            page = self._host.get(f"{self._api}{path}", {**query, "startAt": start, "maxResults": _TOGETHER})
            rows = page[rows_in]
            yield from rows
            start += len(rows)
            if page["isLast"] if "isLast" in page else start >= int(page["total"]):
                return
            if not rows:
                raise Unavailable(Reason.PAGINATION_LOOP, "a list says there is more and does not give it")
