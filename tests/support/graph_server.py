"""Microsoft Graph as its documentation of November 2026 describes it, as far as a source calls it.

https://learn.microsoft.com/graph/api/driveitem-delta, driveitem-list-permissions, driveitem-get-content, sitepage-list,
https://learn.microsoft.com/graph/json-batching and /graph/throttling. Unknown paths and parameters are refused.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence
from typing import Any

from rag_assets.testing import Answer, Asked, FakeServer

PAGE = 5
SITE = "acme.sharepoint.com,1111,2222"
LIBRARY = "acme.sharepoint.com/sites/hr/Documents/"
DRIVE, ROOT = "b!library", "01ROOT"
EVERYONE_IN_SITE = [
    {"id": "1", "roles": ["write"], "grantedToV2": {"siteGroup": {"id": "5", "displayName": "Members"}}}
]
_KNOWN = {"$select", "$expand", "token", "skip", "until"}


def error(status: int, code: str, **headers: str) -> Answer:
    """An error in Graph's form."""
    return Answer.json({"error": {"code": code, "message": code}}, status, **headers)


def person(name: str, **more: Any) -> dict[str, Any]:
    """A permission of one person."""
    login = f"i:0#.f|membership|{name}@acme.example"
    user = {"id": f"id-{name}", "displayName": name, "email": f"{name}@acme.example"}
    return {"id": name, "roles": ["read"], "grantedToV2": {"user": user, "siteUser": {"loginName": login}}, **more}


def group(name: str) -> dict[str, Any]:
    """A permission of one group of Entra ID."""
    return {"id": name, "roles": ["write"], "grantedToV2": {"group": {"id": name, "displayName": name}}}


class GraphServer:
    """One site with a library, and a OneDrive of ann; downloads come from another host."""

    def __init__(self, server: FakeServer, downloads: FakeServer) -> None:
        self.server, self.downloads = server, downloads
        self.items: dict[str, dict[str, Any]] = {ROOT: {"name": "root", "parent": "", "own": EVERYONE_IN_SITE}}
        self.drives = {DRIVE: "Documents"}
        self.pages: dict[str, dict[str, Any]] = {}
        self.tokens, self.oldest, self.throttled = {"first"}, 0, 0
        self.throttled_inside = list[int]()
        self._log: list[str] = [ROOT]
        self._files: dict[tuple[str, str], str] = {}
        self._clock = itertools.count(1)
        server.reply("/tenant/oauth2/v2.0/token", self._token)
        server.reply("/v1.0/*", lambda asked: self._guarded(asked))
        downloads.reply("/download/*", self._download)
        self.options: dict[str, Any] = {
            "kind": "sharepoint", "sites": ["https://acme.sharepoint.com/sites/hr"], "tenant_id": "tenant",
            "client_id": "app", "client_secret": {"env": "RAG_SECRET_GRAPH"}, "endpoint": server.url(),
            "authority": server.url(), "requests_per_second": 1000, "attempts": 1,
        }  # fmt: skip

    # What a test changes.

    def put(self, name: str, text: str, parent: str = ROOT, **facets: Any) -> None:
        """Write a file; its id stays when there is one of the name."""
        ident = self._files.setdefault((name, parent), f"01F{next(self._clock)}")
        before = self.items.get(ident, {"own": None})
        self.items[ident] = {**before, "name": name, "parent": parent, "text": text, "facets": facets}
        self.touch(ident)

    def folder(self, name: str, parent: str = ROOT) -> str:
        """Make a folder."""
        ident = f"01D{next(self._clock)}"
        self.items[ident] = {"name": name, "parent": parent, "own": None}
        return self.touch(ident)

    def touch(self, ident: str) -> str:
        """Let an item be named by the next delta."""
        self.items[ident]["etag"] = f'"{{{ident}}},{next(self._clock)}"'
        self._log.append(ident)
        return ident

    def move(self, ident: str, parent: str) -> None:
        """Put an item into another folder."""
        self.items[ident]["parent"] = parent
        self.touch(ident)

    def remove(self, name: str) -> None:
        """Put an item, and what is in it, into the recycle bin; the delta names the item alone."""
        ident = next(key for key, one in self.items.items() if one["name"] == name)
        self.items[ident]["deleted"] = True
        self._log.append(ident)

    def lose(self) -> None:
        """Answer nothing any more."""
        self.server.lose()

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        """Let only these read a file; the delta names it."""
        ident = next(key for key, one in self.items.items() if one["name"] == name)
        people = [{"id": user, "roles": ["read"], "grantedToV2": {"user": {"id": user}}} for user in users]
        self.items[ident]["own"] = [*people, *map(group, groups)]
        self._log.append(ident)

    def permit(self, ident: str, permissions: list[dict[str, Any]] | None) -> None:
        """Change the permissions of an item; the delta does not name it. `None`: those of its parent."""
        self.items[ident]["own"] = permissions

    def expire_tokens(self) -> None:
        """Refuse every delta token that was given."""
        self.oldest = len(self._log)

    def calls(self, ending: str) -> int:
        """How many requests had a path that ends so."""
        return sum(asked.path.endswith(ending) for asked in self.server.requests)

    # What Graph answers.

    def _token(self, asked: Asked) -> Answer:
        login = "Basic " + base64.b64encode(b"app:secret").decode()
        form = dict(part.split("=", 1) for part in asked.body.decode().split("&"))
        if asked.headers.get("authorization") != login or not form["scope"].endswith("%2F.default"):
            return Answer.json({"error": "invalid_client"}, 401)
        return Answer.json({"token_type": "Bearer", "access_token": max(self.tokens), "expires_in": 3599})

    def _guarded(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return error(401, "InvalidAuthenticationToken")
        if self.throttled:
            self.throttled -= 1
            return error(429, "activityLimitReached", retry_after="0")
        if set(asked.query) - _KNOWN:
            return error(400, "invalidRequest")
        if asked.path == "/v1.0/$batch":
            return self._batch(asked)
        return self._answer(asked.path.removeprefix("/v1.0"), asked.query, asked.headers.get("prefer", ""))

    def _batch(self, asked: Asked) -> Answer:
        requests = json.loads(asked.body)["requests"]
        if asked.method != "POST" or len(requests) > 20:
            return error(400, "BadRequest")
        answers: list[dict[str, Any]] = []
        refused = self.throttled_inside.pop(0) if self.throttled_inside else 0
        for one in requests:
            found = self._answer(one["url"], {}, "")
            if len(answers) < refused:
                found = error(429, "activityLimitReached")
            body = json.loads(found.body)
            answers.append({"id": one["id"], "status": found.status, "headers": {"Retry-After": "0"}, "body": body})
        return Answer.json({"responses": answers[::-1]})  # in any order

    def _answer(self, path: str, query: dict[str, str], prefer: str) -> Answer:
        drive, _, rest = path.removeprefix("/drives/").partition("/")
        if path == "/sites/acme.sharepoint.com:/sites/hr":
            return Answer.json({"id": SITE, "webUrl": "https://acme.sharepoint.com/sites/hr"})
        if path == f"/sites/{SITE}/drives":
            return Answer.json({"value": [{"id": key, "name": name} for key, name in self.drives.items()]})
        if path == "/users/ann@acme.example/drive":
            url = "https://acme-my.sharepoint.com/personal/ann/Documents"
            return Answer.json({"id": DRIVE, "name": "OneDrive", "webUrl": url})
        if path.startswith(f"/sites/{SITE}/pages/"):
            return self._pages(path.removeprefix(f"/sites/{SITE}/pages/"), query)
        if not path.startswith("/drives/") or drive not in self.drives:
            return error(404, "itemNotFound")
        if rest == "root":
            return Answer.json({"id": ROOT})
        if rest == "root/delta":
            return self._delta(drive, query, prefer)
        ident, _, what = rest.removeprefix("items/").partition("/")
        item = self.items.get(ident)
        if item is None or not self._is_there(ident) or what not in ("", "content", "permissions"):
            return error(404, "itemNotFound")
        if what == "content":
            return Answer(status=302, headers={"location": self.downloads.url(f"/download/{ident}?tempauth=x")})
        return Answer.json({"value": self._permissions(ident)} if what else self._row(ident, "", full=True))

    def _delta(self, drive: str, query: dict[str, str], prefer: str) -> Answer:
        since, skip = int(query.get("token", 0)), int(query.get("skip", 0))
        until = int(query.get("until", len(self._log)))
        if since and since < self.oldest:
            return error(410, "resyncRequired", location=self._link(drive, 0, 0, until))
        named = list(dict.fromkeys(self._log[since:until]))
        rows = [self._row(one, prefer) for one in named[skip : skip + PAGE]]
        rows = [row for row in rows if since or "deleted" not in row]
        if len(named) > skip + PAGE:
            return Answer.json({"value": rows, "@odata.nextLink": self._link(drive, since, skip + PAGE, until)})
        return Answer.json({"value": rows, "@odata.deltaLink": self._link(drive, until)})

    def _link(self, drive: str, token: int, skip: int = 0, until: int | None = None) -> str:
        more = "" if until is None else f"&skip={skip}&until={until}"
        return self.server.url(f"/v1.0/drives/{drive}/root/delta?token={token}{more}")

    def _row(self, ident: str, prefer: str, *, full: bool = False) -> dict[str, Any]:
        item = self.items[ident]
        if not self._is_there(ident):
            return {"id": ident, "deleted": {"state": "deleted"}}
        row: dict[str, Any] = {
            "id": ident, "name": item["name"], "parentReference": {"driveId": DRIVE, "id": item["parent"]},
            "eTag": item.get("etag", ""), "lastModifiedDateTime": "2026-11-30T10:00:00Z",
            "webUrl": f"https://acme.sharepoint.com/sites/hr/Documents/{item['name']}",
            "lastModifiedBy": {"user": {"displayName": "Ann"}},
        }  # fmt: skip
        if item["own"] is not None or "hierarchicalsharing" not in prefer:
            row["shared"] = {"scope": "users"} if item["own"] else {}
        if "text" in item:
            facets = {"file": {"mimeType": "application/octet-stream"}, "size": len(item["text"].encode())}
            return {**row, **facets, **item["facets"]}
        return row | ({"root": {}, "folder": {}} if ident == ROOT else {"folder": {"childCount": 1}})

    def _is_there(self, ident: str) -> bool:
        while ident:
            if self.items[ident].get("deleted"):
                return False
            ident = self.items[ident]["parent"]
        return True

    def _permissions(self, ident: str) -> list[dict[str, Any]]:
        while self.items[ident]["own"] is None:
            ident = self.items[ident]["parent"]
        return list(self.items[ident]["own"])

    def _pages(self, path: str, query: dict[str, str]) -> Answer:
        ident, _, what = path.rpartition("/")
        if what != "microsoft.graph.sitePage" or (ident and ident not in self.pages):
            return error(404, "itemNotFound")
        if ident:
            page = self.pages[ident]
            return Answer.json(page if query.get("$expand") == "canvasLayout" else {**page, "canvasLayout": None})
        return Answer.json({"value": [{**page, "canvasLayout": None} for page in self.pages.values()]})

    def _download(self, asked: Asked) -> Answer:
        if "authorization" in asked.headers or asked.query.get("tempauth") != "x":
            return Answer(status=401)
        return Answer(self.items[asked.path.rpartition("/")[2]]["text"].encode())
