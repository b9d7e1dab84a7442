"""A fake of Confluence, Cloud and Data Center, that follows their documentation of 1 December 2026.

https://developer.atlassian.com/cloud/confluence/rest/v2/, …/rest/v1/, https://developer.atlassian.com/server/confluence/rest/.
It answers the paths and parameters that are documented there, and refuses all others.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked

TOKEN, USER = "secret-token", "rag@acme.example"
_V2_KINDS = {"pages": "page", "blogposts": "blogpost", "folders": "folder"}


@dataclass
class Node:
    """A page, blog post, folder or attachment."""

    id: str
    type: str
    title: str
    space: str
    text: str = ""
    version: int = 1
    parent: str = ""
    status: str = "current"
    labels: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


class Refusal(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.answer = Answer.json({"statusCode": status, "message": message}, status)


class FakeConfluence:
    """One site. `page` is the number of rows that it gives at once, whatever is asked for."""

    def __init__(self, server: FakeServer, edition: str, page: int = 3) -> None:
        self.server, self.edition, self.page = server, edition, page
        self.nodes: dict[str, Node] = {}
        self.spaces: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {"writers": ["ann", "wil"], "staff": ["ann", "bob", "eve", "wil"]}
        self.emails: dict[str, str] = {}
        self.unsearched: set[str] = set()
        self.files: dict[str, list[Node]] = {}
        self.signed_in: Callable[[], bool] = lambda: True
        wanted = f"Bearer {TOKEN}"
        if edition == "cloud":
            wanted = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        self.authorization: Callable[[], str] = lambda: wanted
        self._ids = itertools.count(1001)
        self.space("DOC", ["ann", "bob", "eve"], ["writers"])
        self.server.reply("/*", self._answer)
        login: dict[str, Any] = {"type": "bearer", "token": {"env": "RAG_SECRET_WIKI"}}
        if edition == "cloud":
            login = {"type": "basic", "user": USER, "password": {"env": "RAG_SECRET_WIKI"}}
        self.options: dict[str, Any] = {
            "kind": "confluence", "url": server.url(), "edition": edition, "auth": login, "attempts": 1,
            "requests_per_second": 1000,
        }  # fmt: skip

    # What a test changes.

    def space(self, key: str, users: Sequence[str], groups: Sequence[str], **more: Any) -> None:
        about = {"type": "global", "status": "current", "anonymous": False}
        space_id = str(len(self.spaces) + 1)
        self.spaces[key] = about | {"id": space_id, "key": key, "users": list(users), "groups": list(groups)} | more

    def add(self, title: str, text: str = "", kind: str = "page", **more: Any) -> Node:
        prefix = "att" if kind == "attachment" else ""
        made = Node(f"{prefix}{next(self._ids)}", kind, title, more.pop("space", "DOC"), text, **more)
        self.nodes[made.id] = made
        if kind == "attachment":
            self.files.setdefault(made.parent, []).append(made)
        return made

    def named(self, title: str) -> Node:
        return next(one for one in self.nodes.values() if one.title == title)

    def put(self, name: str, text: str) -> None:
        found = [one for one in self.nodes.values() if one.title == name]
        if not found:
            self.add(name, text)
            return
        found[0].text, found[0].version = text, found[0].version + 1

    def remove(self, name: str) -> None:
        self.named(name).status = "trashed"

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        found = self.named(name)
        # A restriction to nobody does not exist; one to somebody who may not view the space admits nobody.
        found.users, found.groups = list(users) if users or groups else ["gone"], list(groups)

    def lose(self) -> None:
        self.server.lose()

    # What it answers.

    def _answer(self, asked: Asked) -> Answer:
        if asked.path.startswith("/media/"):
            return Answer(status=403) if "authorization" in asked.headers else self._media(asked)
        if asked.headers.get("authorization") != self.authorization():
            return Answer.json({"message": "Unauthorized"}, 401)
        routes = _CLOUD if self.edition == "cloud" else _DATA_CENTER
        try:
            for method, pattern, parameters, reply in routes:
                match = re.fullmatch(pattern, asked.path)
                if match and method == asked.method:
                    if unknown := set(asked.query) - set(parameters.split()):
                        raise Refusal(400, f"unknown parameters {sorted(unknown)}")
                    said = reply(self, asked, *match.groups())
                    return said if isinstance(said, Answer) else Answer.json(said)
        except Refusal as refusal:
            return refusal.answer
        return Answer.json({"statusCode": 404, "message": "null for uri"}, 404)

    def _media(self, asked: Asked) -> Answer:
        return Answer(self.nodes[asked.path.rpartition("/")[2]].text.encode())

    def visible(self, *kinds: str) -> list[Node]:
        """Current content of current spaces that the account may view; an anonymous visitor sees public spaces."""
        return [one for one in self.nodes.values() if one.type in kinds and one.status == "current"
                and (self.signed_in() or self.spaces[one.space]["anonymous"])]  # fmt: skip

    def node(self, content_id: str, *kinds: str) -> Node:
        found = self.nodes.get(content_id)
        if found is None or (kinds and found.type not in kinds) or (not self.signed_in() and found.space != "PUB"):
            raise Refusal(404, "No content found")
        return found

    def shown(
        self, asked: Asked, rows: Iterable[Any], made: Callable[[Any], Any] = lambda row: row, prefix: str = ""
    ) -> dict[str, Any]:
        """A page of rows, with the link to the next one as the edition and API have it."""
        found, by_cursor = list(rows), "cursor" in asked.query or "/api/v2/" in asked.path or "search" in asked.path
        if by_cursor and self.edition == "cloud":
            cursor = asked.query.get("cursor", "")
            start = int(base64.b64decode(cursor)) if cursor else 0
        else:
            start = int(asked.query.get("start", 0))
        size = min(int(asked.query.get("limit", 25)), self.page)
        links = {"base": self.server.url("/wiki" if self.edition == "cloud" else "")}
        if start + size < len(found):
            by_start = {"start": str(start + size)}
            more = {"cursor": base64.b64encode(str(start + size).encode()).decode()} if by_cursor else by_start
            links["next"] = f"{asked.path.removeprefix(prefix)}?{urlencode({**asked.query, **more})}"
        return {"results": [*map(made, found[start : start + size])], "start": start, "limit": size, "_links": links}

    def user(self, name: str) -> dict[str, Any]:
        if self.edition == "cloud":
            return {"type": "known", "accountId": name, "displayName": name.title(), "email": self.emails.get(name, "")}
        return {"type": "known", "username": name, "userKey": f"key-{name}", "displayName": name.title()}

    def group(self, name: str) -> dict[str, Any]:
        return {"type": "group", "name": f"{name} of acme" if name == "two" else name, "id": name}

    def restrictions(self, node: Node, start: int = 0) -> dict[str, Any]:
        found = {"user": [self.user(one) for one in node.users], "group": [self.group(one) for one in node.groups]}
        return {kind: {"results": rows[start : start + self.page], "start": start, "limit": self.page,
                       "size": len(rows[start : start + self.page])} for kind, rows in found.items()}  # fmt: skip

    def v1(self, node: Node, expand: str) -> dict[str, Any]:
        """Content of the first API, with what was asked to be expanded."""
        wanted = set(expand.split(","))
        links = {"webui": f"/display/{node.id}", "base": self.server.url("/wiki" if self.edition == "cloud" else "")}
        said: dict[str, Any] = {"id": node.id, "type": node.type, "title": node.title, "status": node.status}
        said["_links"] = links
        if {"restrictions.read.restrictions.user", "restrictions.read.restrictions.group"} <= wanted:
            said["restrictions"] = {"read": {"operation": "read", "restrictions": self.restrictions(node)}}
        if "ancestors" in wanted:
            above, chain = node.parent, list[dict[str, str]]()
            while above:
                chain.insert(0, {"id": above, "type": "page"})
                above = self.nodes[above].parent
            said["ancestors"] = chain
        simple = {
            "version": {"number": node.version}, "space": {"key": node.space}, "container": {"id": node.parent},
            "history": {"createdBy": self.user("ann")}, "body.export_view": {"export_view": {"value": node.text}},
            "metadata.labels": {"labels": {"results": [{"name": one, "prefix": "global"} for one in node.labels]}},
        }  # fmt: skip
        said |= {name.partition(".")[0]: value for name, value in simple.items() if name in wanted}
        if "children.attachment.version" in wanted:
            files = self.files.get(node.id, [])
            rows = [self.v1(one, "version") for one in files[: self.page]]
            said["children"] = {"attachment": {"results": rows, "limit": self.page, "size": len(rows)}}
        if node.type == "attachment":
            said["extensions"] = {"mediaType": "text/plain", "fileSize": len(node.text)}
            said["_links"]["download"] = f"/download/attachments/{node.parent}/{node.id}?version={node.version}&api=v2"
        return said

    def v2(self, node: Node, *, body: bool = False, labels: bool = False) -> dict[str, Any]:
        space, above = self.spaces[node.space]["id"], self.nodes.get(node.parent)
        said: dict[str, Any] = {"id": node.id, "title": node.title, "status": node.status}
        said["version"] = {"number": node.version}
        said["_links"] = {"webui": f"/spaces/{node.space}/{node.id}", "base": self.server.url("/wiki")}
        if node.type == "attachment":
            owner = "pageId" if above and above.type == "page" else "blogPostId"
            return said | {owner: node.parent, "mediaType": "text/plain", "fileSize": len(node.text)}
        said |= {"spaceId": space, "authorId": "ann", "parentId": node.parent or None}
        said["parentType"] = above.type if above else None
        if body:
            said["body"] = {"export_view": {"representation": "export_view", "value": node.text}}
        if labels:
            said["labels"] = {"results": [{"id": one, "name": one, "prefix": "global"} for one in node.labels]}
        return said


# --------------------------------------------------------------------------------------------------------------------
# Cloud. Each route: method, path, parameters, and the function that answers.


def _current_user(site: FakeConfluence, _: Asked) -> Any:
    return site.user("rag") if site.signed_in() else {"type": "anonymous"}


def _v2_spaces(site: FakeConfluence, asked: Asked) -> Any:
    rows = [one for one in site.spaces.values() if one["status"] == asked.query.get("status", one["status"])]
    return site.shown(asked, [one for one in rows if site.signed_in() or one["anonymous"]])


def _v2_space(site: FakeConfluence, _: Asked, space_id: str) -> Any:
    return next(one for one in site.spaces.values() if one["id"] == space_id)


def _v2_permissions(site: FakeConfluence, asked: Asked, space_id: str) -> Any:
    space = _v2_space(site, asked, space_id)
    rows = [{"principal": {"type": "user", "id": "wil"}, "operation": {"key": "create", "targetType": "page"}}]
    read = {"key": "read", "targetType": "space"}
    for kind in ("user", "group"):
        rows += [{"principal": {"type": kind, "id": one}, "operation": read} for one in space[f"{kind}s"]]
    return site.shown(asked, [*rows, {"principal": {"type": "role", "id": "r1"}, "operation": read}])


def _v2_list(site: FakeConfluence, asked: Asked, kind: str) -> Any:
    space = asked.query.get("space-id")
    rows = [one for one in site.visible(_V2_KINDS[kind]) if site.spaces[one.space]["id"] == space]
    if asked.query.get("status") != "current":  # the default has archived pages too
        rows += [one for one in site.nodes.values() if one.status == "archived"]
    return site.shown(asked, rows, site.v2)


def _v2_content(site: FakeConfluence, asked: Asked, kind: str, content_id: str) -> Any:
    if (wanted := asked.query.get("body-format")) not in (None, "export_view"):
        raise Refusal(400, f"body-format {wanted}")
    found = site.node(content_id, _V2_KINDS[kind])
    return site.v2(found, body=wanted is not None, labels=asked.query.get("include-labels") == "true")


def _v2_attachments(site: FakeConfluence, asked: Asked) -> Any:
    return site.shown(asked, site.visible("attachment"), site.v2)


def _v2_attachment(site: FakeConfluence, _: Asked, content_id: str) -> Any:
    return site.v2(site.node(content_id, "attachment"))


def _v2_users(site: FakeConfluence, asked: Asked) -> Any:
    ids = json.loads(asked.body)["accountIds"]
    if not 1 <= len(ids) <= 250:
        raise Refusal(400, "accountIds")
    return {"results": [site.user(one) for one in ids if one != "gone"]}


def _search(site: FakeConfluence, asked: Asked) -> Any:
    match = re.fullmatch(r'space="([^"]+)" and type in \(page,blogpost\)', asked.query["cql"])
    if match is None:
        raise Refusal(400, "Could not parse cql")
    rows = [one for one in site.visible("page", "blogpost") if one.space == match[1] and one.id not in site.unsearched]
    return site.shown(asked, rows, lambda one: site.v1(one, asked.query.get("expand", "")), "/wiki")


def _restriction(site: FakeConfluence, asked: Asked, content_id: str) -> Any:
    start = int(asked.query.get("start", 0))
    return {"operation": "read", "restrictions": site.restrictions(site.node(content_id), start)}


def _members(site: FakeConfluence, asked: Asked, group: str) -> Any:
    if group not in site.groups:
        raise Refusal(404, "group")
    return site.shown(asked, site.groups[group], site.user, "/wiki")


def _group(site: FakeConfluence, asked: Asked) -> Any:
    if asked.query["id"] not in site.groups:
        raise Refusal(404, "group")
    return site.group(asked.query["id"])


def _download(site: FakeConfluence, _: Asked, content_id: str, attachment_id: str) -> Answer:
    found = site.node(attachment_id, "attachment")
    if found.parent != content_id:
        raise Refusal(404)
    # Another origin than the site's, as the media service is; the test's server answers it too.
    host = site.server.url(f"/media/{attachment_id}").replace("127.0.0.1", "localhost")
    return Answer(status=302, headers={"location": host})


_ONE = "([^/]+)"
_PAGED = "cursor limit"
_CLOUD: list[tuple[str, str, str, Callable[..., Any]]] = [
    ("GET", "/wiki/rest/api/user/current", "expand", _current_user),
    ("GET", "/wiki/api/v2/spaces", f"{_PAGED} ids keys type status labels sort", _v2_spaces),
    ("GET", f"/wiki/api/v2/spaces/{_ONE}", "", _v2_space),
    ("GET", f"/wiki/api/v2/spaces/{_ONE}/permissions", _PAGED, _v2_permissions),
    ("GET", "/wiki/api/v2/(pages|blogposts)", f"{_PAGED} id space-id sort status title body-format", _v2_list),
    ("GET", f"/wiki/api/v2/(pages|blogposts|folders)/{_ONE}", "body-format include-labels status", _v2_content),
    ("GET", "/wiki/api/v2/attachments", f"{_PAGED} sort status mediaType filename", _v2_attachments),
    ("GET", f"/wiki/api/v2/attachments/{_ONE}", "version include-labels", _v2_attachment),
    ("POST", "/wiki/api/v2/users-bulk", "", _v2_users),
    ("GET", "/wiki/rest/api/content/search", f"{_PAGED} cql cqlcontext expand", _search),
    ("GET", f"/wiki/rest/api/content/{_ONE}/restriction/byOperation/read", "expand start limit", _restriction),
    ("GET", f"/wiki/rest/api/content/{_ONE}/child/attachment/{_ONE}/download", "version status", _download),
    ("GET", f"/wiki/rest/api/group/{_ONE}/membersByGroupId", "start limit expand shouldReturnTotalSize", _members),
    ("GET", "/wiki/rest/api/group/by-id", "id expand", _group),
]

# --------------------------------------------------------------------------------------------------------------------
# Data Center.


def _spaces(site: FakeConfluence, asked: Asked) -> Any:
    return _v2_spaces(site, asked)


def _permissions(site: FakeConfluence, _: Asked, key: str) -> Any:
    space, read = site.spaces[key], {"operationKey": "read", "targetType": "space"}
    subjects = [*map(site.user, space["users"]), *map(site.group, space["groups"])]
    subjects += [{"type": "anonymous", "displayName": "Anonymous"}] if space["anonymous"] else []
    found: list[dict[str, Any]] = [{"subject": one, "operation": read, "spaceKey": key} for one in subjects]
    other = {"operationKey": "create", "targetType": "page"}
    return [*found, {"subject": site.user("wil"), "operation": other, "spaceKey": key}]


def _list(site: FakeConfluence, asked: Asked) -> Any:
    rows = [one for one in site.visible(asked.query["type"]) if one.space == asked.query["spaceKey"]]
    return site.shown(asked, rows, lambda one: site.v1(one, asked.query["expand"]))


def _content(site: FakeConfluence, asked: Asked, content_id: str) -> Any:
    found = site.node(content_id)
    if found.status != "current":
        raise Refusal(404, "No content found")
    return site.v1(found, asked.query.get("expand", ""))


def _children(site: FakeConfluence, asked: Asked, content_id: str) -> Any:
    rows = site.files.get(content_id, [])
    return site.shown(asked, rows, lambda one: site.v1(one, asked.query["expand"]))


def _file(site: FakeConfluence, _: Asked, __: str, attachment_id: str) -> Answer:
    return Answer(site.node(attachment_id, "attachment").text.encode())


_DATA_CENTER: list[tuple[str, str, str, Callable[..., Any]]] = [
    ("GET", "/rest/api/user/current", "expand", _current_user),
    ("GET", "/rest/api/space", "spaceKey type status label expand start limit", _spaces),
    ("GET", f"/rest/api/space/{_ONE}/permissions", "", _permissions),
    ("GET", "/rest/api/content", "type spaceKey title status postingDay expand start limit", _list),
    ("GET", f"/rest/api/content/{_ONE}", "status version expand", _content),
    ("GET", f"/rest/api/content/{_ONE}/child/attachment", "expand filename mediaType start limit", _children),
    ("GET", f"/rest/api/content/{_ONE}/restriction/byOperation/read", "expand start limit", _restriction),
    ("GET", f"/rest/api/group/{_ONE}/member", "expand start limit", _members),
    ("GET", f"/download/attachments/{_ONE}/{_ONE}", "version api modificationDate", _file),
]
