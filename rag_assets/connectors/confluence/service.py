"""The calls of Confluence: https://developer.atlassian.com/cloud/confluence/rest/v2/ (and …/rest/v1/) for Cloud,
https://developer.atlassian.com/server/confluence/rest/ for Data Center.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from rag_assets.connectors.atlassian import EVERYONE, Readers, all_results, group_name
from rag_assets.connectors.json_host import JsonHost
from rag_core.errors import NotFound, Reason, Unavailable

PAGES: Final = "pages"
_KINDS: Final = {"page": PAGES, "blogpost": "blogposts", "folder": "folders", "whiteboard": "whiteboards",
                 "database": "databases", "embed": "embeds"}  # fmt: skip
_RESTRICTIONS: Final = "restrictions.read.restrictions.user,restrictions.read.restrictions.group"
_CONTENT: Final = f"version,space,ancestors,{_RESTRICTIONS}"
_READERS: Final = ("user", "group")
_TOGETHER: Final = 200
"""Restrictions, members and people that one request is asked for."""


@dataclass(frozen=True, slots=True)
class Space:
    """A space, by its id (Cloud) or key (Data Center)."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class PageAttachment:
    """An attachment and the id of the content that it belongs to."""

    id: str
    container: str
    name: str
    version: str
    size: int
    media_type: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A page or blog post, or what a page is below. `parent` is the kind and id of what it is below, if anything.

    `restriction` are those who alone may read it, `None` when it has none; it counts only when `restriction_known`.
    """

    kind: str
    id: str
    space: str
    version: str
    parent: tuple[str, str] | None = None
    restriction_known: bool = False
    restriction: Readers | None = None
    attachments: tuple[PageAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentBody:
    """The text of a page or blog post as HTML."""

    content: Content
    title: str
    html: str
    metadata: dict[str, str] = field(default_factory=dict)


class Confluence(ABC):
    """One site. `v1` is the path of the first REST API, which both editions have for restrictions and groups."""

    v1: str

    def __init__(self, host: JsonHost) -> None:
        self.host = host

    def require_sign_in(self) -> None:
        """Raise `Unavailable` (`ACCESS_REFUSED`) when the site takes us for an anonymous visitor, as it does with a
        token that ended where it has public spaces: a listing would miss all others."""
        if self.host.get(f"{self.v1}/user/current").get("type") == "anonymous":
            raise Unavailable(Reason.ACCESS_REFUSED, "the site does not know the account; check the credentials")

    def restriction(self, content_id: str) -> Readers | None:
        """The readers that the restriction of content admits; `None`: it has none. Raises `NotFound`."""
        found, start = set[str](), 0
        path = f"{self.v1}/content/{quote(content_id, safe='')}/restriction/byOperation/read"
        expand = "restrictions.user,restrictions.group"
        while True:
            said = self.host.get(path, {"expand": expand, "start": start, "limit": _TOGETHER})["restrictions"]
            found |= {self._name(kind, one) for kind in _READERS for one in said[kind]["results"]}
            most = max(len(said[kind]["results"]) for kind in _READERS)
            if not most or not any(_is_cut(said[kind]) for kind in _READERS):
                return frozenset(found) or None
            start += most

    def members(self, group: str) -> Readers:
        """The users of a group, by its name in `Readers`; nobody when it is deleted."""
        path = self._members_path(quote(group.removeprefix("group:"), safe=""))
        try:
            return frozenset(self._name("user", one) for one in all_results(self.host, path, {"limit": _TOGETHER}))
        except NotFound:
            return frozenset()

    def _listed_restriction(self, row: Mapping[str, Any]) -> tuple[bool, Readers | None]:
        """Return whether a row of a list has the whole restriction, as long ones are cut off, and the restriction."""
        said = ((row.get("restrictions") or {}).get("read") or {}).get("restrictions")
        if said is None:
            return False, None
        names = frozenset(self._name(kind, one) for kind in _READERS for one in said[kind]["results"])
        return not any(_is_cut(said[kind]) for kind in _READERS), names or None

    def names(self, readers: Readers) -> list[str]:
        """The names of readers as directories have them."""
        people, groups = (
            [one.partition(":")[2] for one in sorted(readers) if one.startswith(f"{kind}:") and one[-1] != ":"]
            for kind in _READERS
        )
        everyone = [EVERYONE] if EVERYONE in readers else []
        return [*everyone, *self._people(people), *(group_name(one) for one in self._groups(groups) if one)]

    @abstractmethod
    def spaces(self) -> Iterator[tuple[Space, bool]]:
        """The current spaces, each with whether it is a personal one."""

    @abstractmethod
    def space(self, space_id: str) -> Space:
        """A space. Raises `NotFound`."""

    @abstractmethod
    def space_readers(self, space: Space) -> Readers:
        """The readers of a space."""

    @abstractmethod
    def contents(self, space: Space) -> Iterator[Content]:
        """The current pages and blog posts of a space."""

    @abstractmethod
    def content(self, kind: str, content_id: str) -> Content:
        """Content as a list has it, or a folder. Raises `NotFound`."""

    @abstractmethod
    def body(self, kind: str, content_id: str) -> ContentBody:
        """A page or blog post. Raises `NotFound`."""

    def other_attachments(self) -> Iterator[PageAttachment]:
        """Attachments that do not come with their content."""
        return iter(())

    @abstractmethod
    def attachment(self, attachment_id: str) -> PageAttachment:
        """An attachment. Raises `NotFound`."""

    @abstractmethod
    def download(self, attachment: PageAttachment) -> bytes:
        """The content of an attachment. Raises `NotFound`."""

    @abstractmethod
    def _members_path(self, group: str) -> str: ...

    @abstractmethod
    def _name(self, kind: str, said: Mapping[str, Any]) -> str: ...

    @abstractmethod
    def _people(self, ids: list[str]) -> Iterable[str]: ...

    @abstractmethod
    def _groups(self, ids: list[str]) -> Iterable[str]: ...


class CloudConfluence(Confluence):
    """A site of Confluence Cloud. Lists are those of the database (v2); restrictions and labels of many pages at once
    are those of its search (v1), and what the search does not name is asked for one by one."""

    v1 = "/wiki/rest/api"
    _v2 = "/wiki/api/v2"

    def __init__(self, host: JsonHost, *, restrictions: bool) -> None:
        """`restrictions`: whether they are asked for."""
        super().__init__(host)
        self._restrictions = restrictions
        self._users: dict[str, dict[str, Any]] = {}
        self._group_names: dict[str, str] = {}

    def spaces(self) -> Iterator[tuple[Space, bool]]:
        for one in all_results(self.host, f"{self._v2}/spaces", {"status": "current", "limit": 250}):
            yield Space(str(one["id"]), str(one["key"])), one["type"] == "personal"

    def space(self, space_id: str) -> Space:
        return Space(space_id, str(self.host.get(f"{self._v2}/spaces/{quote(space_id, safe='')}")["key"]))

    def space_readers(self, space: Space) -> Readers:
        granted = all_results(self.host, f"{self._v2}/spaces/{space.id}/permissions", {"limit": 250})
        return frozenset(
            f"{one['principal']['type']}:{one['principal']['id']}"
            for one in granted
            if (one["operation"]["key"], one["operation"]["targetType"]) == ("read", "space")
            and one["principal"]["type"] in ("user", "group")
        )

    def contents(self, space: Space) -> Iterator[Content]:
        known = self._searched(space) if self._restrictions else {}
        for kind in (PAGES, "blogposts"):
            query: dict[str, str | int] = {"space-id": space.id, "status": "current", "sort": "id", "limit": 250}
            for one in all_results(self.host, f"{self._v2}/{kind}", query):
                yield self._content(kind, one, *known.get(str(one["id"]), (False, None)))

    def content(self, kind: str, content_id: str) -> Content:
        return self._content(kind, self.host.get(f"{self._v2}/{kind}/{quote(content_id, safe='')}"))

    def body(self, kind: str, content_id: str) -> ContentBody:
        query = {"body-format": "export_view", "include-labels": "true"}
        said = self.host.get(f"{self._v2}/{kind}/{quote(content_id, safe='')}", query)
        if said["status"] != "current":
            raise NotFound(Reason.VANISHED, "the page is in the trash or archived")
        author = self._looked_up([str(said["authorId"])] if said.get("authorId") else [])
        names = [str(one.get("displayName") or one.get("publicName") or "") for one in author]
        return _body(self._content(kind, said), said, said["labels"], "".join(names))

    def other_attachments(self) -> Iterator[PageAttachment]:
        query: dict[str, str | int] = {"status": "current", "limit": 250}
        return map(_attachment, all_results(self.host, f"{self._v2}/attachments", query))

    def attachment(self, attachment_id: str) -> PageAttachment:
        said = self.host.get(f"{self._v2}/attachments/{quote(attachment_id, safe='')}")
        if said["status"] != "current":
            raise NotFound(Reason.VANISHED, "the attachment is in the trash")
        return _attachment(said)

    def download(self, attachment: PageAttachment) -> bytes:
        container, name = quote(attachment.container, safe=""), quote(attachment.id, safe="")
        return self.host.read(f"{self.v1}/content/{container}/child/attachment/{name}/download").content

    def _searched(self, space: Space) -> dict[str, tuple[bool, Readers | None]]:
        """Restrictions as the search has them, by the id of content."""
        cql = f'space="{space.key}" and type in (page,blogpost)'
        query: dict[str, str | int] = {"cql": cql, "expand": _RESTRICTIONS, "limit": _TOGETHER}
        rows = all_results(self.host, f"{self.v1}/content/search", query)
        return {str(row["id"]): self._listed_restriction(row) for row in rows}

    def _content(
        self, kind: str, said: Mapping[str, Any], known: bool = False, restriction: Readers | None = None
    ) -> Content:
        above = said.get("parentId")
        parent = (_KINDS.get(said["parentType"], ""), str(above)) if above else None
        number = str((said.get("version") or {}).get("number", ""))
        return Content(kind, str(said["id"]), str(said["spaceId"]), number, parent, known, restriction)

    def _members_path(self, group: str) -> str:
        return f"{self.v1}/group/{group}/membersByGroupId"

    def _name(self, kind: str, said: Mapping[str, Any]) -> str:
        return f"{kind}:{said.get('accountId' if kind == 'user' else 'id') or ''}"

    def _looked_up(self, ids: list[str]) -> list[dict[str, Any]]:
        missing = [one for one in ids if one not in self._users]
        for start in range(0, len(missing), _TOGETHER):
            some = missing[start : start + _TOGETHER]
            said = self.host.post(f"{self._v2}/users-bulk", {"accountIds": some})["results"]
            self._users |= {one: {} for one in some} | {str(one["accountId"]): one for one in said}
        return [self._users[one] for one in ids]

    def _people(self, ids: list[str]) -> Iterable[str]:
        for one, said in zip(ids, self._looked_up(ids), strict=True):
            yield f"email:{said['email']}" if said.get("email") else f"account:{one}"

    def _groups(self, ids: list[str]) -> Iterable[str]:
        for one in ids:
            if one not in self._group_names:
                try:
                    said = self.host.get(f"{self.v1}/group/by-id", {"id": one})
                    self._group_names[one] = str(said["name"])
                except NotFound:
                    self._group_names[one] = ""
            yield self._group_names[one]


class DataCenterConfluence(Confluence):
    """A server of Confluence Data Center: one list has pages with their restrictions, labels and attachments."""

    v1 = "/rest/api"

    def spaces(self) -> Iterator[tuple[Space, bool]]:
        for one in all_results(self.host, "/rest/api/space", {"status": "current", "limit": _TOGETHER}):
            yield Space(str(one["key"]), str(one["key"])), one["type"] == "personal"

    def space(self, space_id: str) -> Space:
        return Space(space_id, space_id)

    def space_readers(self, space: Space) -> Readers:
        granted = self.host.get(f"/rest/api/space/{quote(space.key, safe='')}/permissions")
        viewing = [one["subject"] for one in granted if one["operation"] == {"operationKey": "read",
                                                                             "targetType": "space"}]  # fmt: skip
        names = (EVERYONE if one["type"] == "anonymous" else self._name(_subject(one), one) for one in viewing)
        return frozenset(names)

    def contents(self, space: Space) -> Iterator[Content]:
        expand = f"{_CONTENT},children.attachment.version"
        for kind, name in ((PAGES, "page"), ("blogposts", "blogpost")):
            query: dict[str, str | int] = {"spaceKey": space.key, "type": name, "status": "current", "expand": expand}
            for one in all_results(self.host, "/rest/api/content", query | {"limit": 100}):
                yield self._content(kind, one, tuple(self._attachments(one)))

    def content(self, kind: str, content_id: str) -> Content:
        path = f"/rest/api/content/{quote(content_id, safe='')}"
        return self._content(kind, self.host.get(path, {"expand": _CONTENT}))

    def body(self, kind: str, content_id: str) -> ContentBody:
        path = f"/rest/api/content/{quote(content_id, safe='')}"
        query = {"status": "current", "expand": f"{_CONTENT},metadata.labels,history,body.export_view"}
        said = self.host.get(path, query)
        author = str(said["history"].get("createdBy", {}).get("displayName") or "")
        return _body(self._content(kind, said), said, said["metadata"]["labels"], author)

    def attachment(self, attachment_id: str) -> PageAttachment:
        path = f"/rest/api/content/{quote(attachment_id, safe='')}"
        said = self.host.get(path, {"status": "current", "expand": "version,container"})
        return _attachment(said, str(said["container"]["id"]))

    def download(self, attachment: PageAttachment) -> bytes:
        return self.host.read(attachment.link).content

    def _content(self, kind: str, said: Mapping[str, Any], attachments: tuple[PageAttachment, ...] = ()) -> Content:
        known, restriction = self._listed_restriction(said)
        parent = (PAGES, str(said["ancestors"][-1]["id"])) if said.get("ancestors") else None
        return Content(kind, str(said["id"]), str(said["space"]["key"]), str(said["version"]["number"]),
                       parent, known, restriction, attachments)  # fmt: skip

    def _attachments(self, row: Mapping[str, Any]) -> Iterator[PageAttachment]:
        """Those that come with a row, or all, when there are more than come with it."""
        owner, said = str(row["id"]), row["children"]["attachment"]
        found: Iterable[Mapping[str, Any]] = said["results"]
        if _is_cut(said):
            path = f"/rest/api/content/{quote(owner, safe='')}/child/attachment"
            found = all_results(self.host, path, {"expand": "version", "limit": _TOGETHER})
        for one in found:
            yield _attachment(one, owner)

    def _members_path(self, group: str) -> str:
        return f"/rest/api/group/{group}/member"

    def _name(self, kind: str, said: Mapping[str, Any]) -> str:
        return f"{kind}:{said.get('username' if kind == 'user' else 'name') or ''}"

    def _people(self, ids: list[str]) -> Iterable[str]:
        return (f"login:{one}" for one in ids)

    def _groups(self, ids: list[str]) -> Iterable[str]:
        return ids


def _subject(said: Mapping[str, Any]) -> str:
    return "group" if said["type"] == "group" else "user"


def _is_cut(said: Mapping[str, Any]) -> bool:
    """Return whether a list within a row may have more than is shown."""
    return bool(said.get("_links", {}).get("next")) or len(said["results"]) >= int(said.get("limit") or _TOGETHER)


def _body(content: Content, said: Mapping[str, Any], labels: Mapping[str, Any], author: str) -> ContentBody:
    links = said["_links"]
    about = {"url": f"{links['base']}{links['webui']}", "author": author}
    about["labels"] = ", ".join(sorted(str(one["name"]) for one in labels["results"]))
    return ContentBody(content, str(said["title"]), str(said["body"]["export_view"]["value"]), about)


def _attachment(said: Mapping[str, Any], container: str = "") -> PageAttachment:
    """An attachment of either API: the first has size and type among its extensions."""
    more = said.get("extensions") or {}
    owner = container or str(said.get("pageId") or said.get("blogPostId") or "")
    size, media_type = said.get("fileSize") or more.get("fileSize"), said.get("mediaType") or more.get("mediaType")
    link = str((said.get("_links") or {}).get("download") or "")
    version = str(said["version"]["number"])
    return PageAttachment(
        str(said["id"]), owner, str(said["title"]), version, int(size or 0), str(media_type or ""), link
    )
