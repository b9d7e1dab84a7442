"""Google Drive as its documentation describes it (1 December 2026), on this machine:
https://developers.google.com/workspace/drive/api/reference/rest/v3.

It refuses what the service refuses: unknown paths and parameters, fields of shared drives without `supportsAllDrives`,
page tokens of another search. It gives the fields that were asked for and no others.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rag_assets.testing import Answer, FakeServer
from rag_assets.testing.fake_server import Asked

ACCOUNT, SUBJECT = "reader@acme.iam.gserviceaccount.com", "ann@acme.example"
FOLDER = "application/vnd.google-apps.folder"
OFFICE = "application/vnd.openxmlformats-officedocument"
EXPORTS = {
    "document": {f"{OFFICE}.wordprocessingml.document", "text/markdown", "text/plain", "application/zip"},
    "spreadsheet": {f"{OFFICE}.spreadsheetml.sheet", "text/csv"},
    "presentation": {f"{OFFICE}.presentationml.presentation", "text/plain"},
    "drawing": {"application/pdf", "image/png"},
}
_COMMON = {"fields", "supportsAllDrives"}
_TAKEN = {
    "files": {*_COMMON, "q", "pageSize", "pageToken", "corpora", "driveId", "includeItemsFromAllDrives"},
    "file": {*_COMMON, "alt"},
    "export": {"mimeType"},
    "permissions": {*_COMMON, "pageSize", "pageToken"},
    "drives": {"fields", "pageSize", "pageToken"},
    "drive": {"fields"},
    "changes": {"supportsAllDrives", "driveId"},
}
KEY = rsa.generate_private_key(65537, 2048)


def refusal(status: int, reason: str) -> Answer:
    """An error as the service words it."""
    error = {"errors": [{"domain": "global", "reason": reason, "message": reason}], "code": status, "message": reason}
    return Answer.json({"error": error}, status)


def file_id(name: str) -> str:
    """The id of a file of a place, which says its name to tests."""
    return f"f{name.encode().hex()}"


class Drive:
    """Files in My Drive, or (`drive` is set) in a shared drive; a place of the suites."""

    def __init__(self, server: FakeServer, drive: str = "") -> None:
        self.server, self.drive, self.top, self.page_size = server, drive, drive or "top", 5
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.permissions: dict[str, list[dict[str, Any]]] = {}
        self.drives: dict[str, str] = {drive: "Handbook"} if drive else {}
        self.positions: dict[str, int] = {}
        self.tokens, self._clock = {"first"}, itertools.count()
        self.subject: str | None = None
        server.reply("/drive/v3*", self._answer)
        server.reply("/token", self._token)
        if not drive:
            self.add("top", "Handbook", FOLDER, parent="root")
        self.options: dict[str, Any] = {
            "kind": "google_drive", "drives" if drive else "folders": [self.top], "endpoint": server.url(),
            "attempts": 1, "requests_per_second": 200,
            "credentials": {"type": "service_account", "key": {"env": "RAG_SECRET_DRIVE"},
                            "token_url": server.url("/token")},
        }  # fmt: skip
        if drive:
            self.add(drive, "Drive", FOLDER, parent="")

    @property
    def key(self) -> str:
        """The JSON key of the account."""
        pem = KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps({"client_email": ACCOUNT, "private_key": pem.decode(), "private_key_id": "k1"})

    def put(self, name: str, text: str) -> None:
        self.add(file_id(name), name, "text/plain", text.encode())

    def remove(self, name: str) -> None:
        self.change(file_id(name), trashed=True)

    def lose(self) -> None:
        self.server.lose()

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        named = [("user", one) for one in users] + [("group", one) for one in groups]
        self.grant(file_id(name), *({"type": kind, "emailAddress": one, "role": "reader"} for kind, one in named))

    def grant(self, name: str, *permissions: dict[str, Any]) -> None:
        """Give a file these permissions and no others."""
        self.permissions[name] = [
            {"id": md5(json.dumps(one).encode(), usedforsecurity=False).hexdigest()[:12], **one} for one in permissions
        ]
        self._logged(self.files[name].get("driveId", ""))

    def add(
        self, name: str, title: str, media_type: str, content: bytes = b"", *, parent: str | None = None, **more: Any
    ) -> None:
        """Make a file or folder, or change it."""
        about = {"id": name, "name": title, "mimeType": media_type, "trashed": False,
                 "webViewLink": f"https://drive.google.com/file/d/{name}/view", "description": "",
                 "lastModifyingUser": {"displayName": "Ann", "kind": "drive#user"},
                 "modifiedTime": f"2026-11-30T10:00:{next(self._clock) % 60:02}.000Z",
                 "parents": [self.top if parent is None else parent],
                 "capabilities": {"canDownload": True, "canShare": True, "canEdit": False}}  # fmt: skip
        if not media_type.startswith("application/vnd.google-apps."):
            about |= {"md5Checksum": md5(content, usedforsecurity=False).hexdigest(), "size": str(len(content))}
        if self.drive:
            about["driveId"] = self.drive
        self.files[name], self.contents[name] = about | more, content
        self.permissions.setdefault(name, [])
        self._logged(self.files[name].get("driveId", ""))

    def change(self, name: str, /, **more: Any) -> None:
        """Change what is said of a file."""
        self.files[name] |= more
        self._logged(self.files[name].get("driveId", ""))

    def _logged(self, drive: str) -> None:
        self.positions[drive] = self.positions.get(drive, 100) + 1

    def _token(self, asked: Asked) -> Answer:
        form = parse_qs(asked.body.decode())
        said = jwt.decode(form["assertion"][0], KEY.public_key(), ["RS256"], audience=self.server.url("/token"))
        if (form["grant_type"], said["iss"]) != (["urn:ietf:params:oauth:grant-type:jwt-bearer"], ACCOUNT):
            return Answer.json({"error": "invalid_grant"}, 400)
        if said["scope"] != "https://www.googleapis.com/auth/drive.readonly":
            return Answer.json({"error": "invalid_scope"}, 400)
        self.subject = said.get("sub")
        return Answer.json({"access_token": max(self.tokens), "expires_in": 3599, "token_type": "Bearer"})

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return refusal(401, "authError")
        parts = asked.path.removeprefix("/drive/v3/").split("/")
        kind = {
            ("files", 1): "files", ("files", 2): "file", ("drives", 1): "drives", ("drives", 2): "drive",
            ("changes", 2): "changes", ("files", 3): parts[-1],
        }.get((parts[0], len(parts)), "")  # fmt: skip
        if kind not in _TAKEN or (kind == "changes" and parts[1] != "startPageToken"):
            return refusal(404, "notFound")
        if not asked.query.keys() <= _TAKEN[kind]:
            return refusal(400, "invalidParameter")
        if kind in ("file", "export", "permissions"):
            return self._of_file(kind, parts[1], asked.query)
        if kind == "changes":
            return self._position(asked.query)
        if kind == "drive":
            found = self.drives.get(parts[1])
            return refusal(404, "notFound") if found is None else _masked({"name": found, "id": parts[1]}, asked.query)
        if kind == "drives":
            return self._page("drives", [{"id": one, "name": name} for one, name in self.drives.items()], asked.query)
        return self._search(asked.query)

    def _position(self, query: dict[str, str]) -> Answer:
        drive = query.get("driveId", "")
        if drive and drive not in self.drives:
            return refusal(404, "notFound")
        return Answer.json({"kind": "drive#startPageToken", "startPageToken": str(self.positions.get(drive, 100))})

    def _of_file(self, kind: str, name: str, query: dict[str, str]) -> Answer:
        about = self.files.get(name)
        if about is None or (about.get("driveId") and kind != "export" and query.get("supportsAllDrives") != "true"):
            return refusal(404, "notFound")
        if kind == "permissions":
            if not about["capabilities"]["canShare"]:
                return refusal(403, "insufficientFilePermissions")
            return self._page("permissions", self.permissions[name], query)
        if kind == "file" and query.get("alt") != "media":
            return _masked(self._described(about), query)
        own = about["mimeType"].removeprefix("application/vnd.google-apps.")
        if not about["capabilities"]["canDownload"]:
            return refusal(403, "cannotDownloadFile")
        if kind == "export":
            if query.get("mimeType") not in EXPORTS.get(own, ()):
                return refusal(400, "badRequest")
            if len(self.contents[name]) > 10_000_000:
                return refusal(403, "exportSizeLimitExceeded")
        elif own != about["mimeType"]:
            return refusal(403, "fileNotDownloadable")
        return Answer(self.contents[name], headers={"content-type": query.get("mimeType", about["mimeType"])})

    def _described(self, about: dict[str, Any]) -> dict[str, Any]:
        permissions = self.permissions[about["id"]]
        more: dict[str, Any] = {"permissionIds": [one["id"] for one in permissions]}
        if not about.get("driveId") and about["capabilities"]["canShare"]:
            more["permissions"] = permissions
        return about | more | {"trashed": self._in_trash(about)}

    def _in_trash(self, about: dict[str, Any]) -> bool:
        above = self.files.get(about["parents"][0])
        return bool(about["trashed"]) or (above is not None and self._in_trash(above))

    def _search(self, query: dict[str, str]) -> Answer:
        said = re.fullmatch(
            r"\((?:mimeType (?P<not>!?)= '(?P<type>[\w./-]+)'|'(?P<parent>\w+)' in parents)\) and trashed = false",
            query.get("q", ""),
        )
        drive = query.get("driveId", "")
        if said is None or query.get("corpora") != ("drive" if drive else "user"):
            return refusal(400, "invalid")
        if drive and (drive not in self.drives or query.get("supportsAllDrives") != "true"):
            return refusal(404, "notFound")
        everywhere = query.get("includeItemsFromAllDrives") == query.get("supportsAllDrives") == "true"
        found = [
            one
            for one in self.files.values()
            if self._matches(one, said)
            and not self._in_trash(one)
            and (one.get("driveId", "") == drive or (not drive and everywhere and one.get("viewedByMe")))
        ]
        return self._page("files", [one for one in found if one["id"] != one.get("driveId")], query)

    @staticmethod
    def _matches(about: dict[str, Any], said: re.Match[str]) -> bool:
        if said["parent"]:
            return said["parent"] in about["parents"]
        return bool((about["mimeType"] == said["type"]) != bool(said["not"]))

    def _page(self, field: str, rows: list[dict[str, Any]], query: dict[str, str]) -> Answer:
        mark = md5(repr(sorted((query | {"pageToken": ""}).items())).encode(), usedforsecurity=False).hexdigest()
        start, _, of = (query.get("pageToken") or f"0.{mark}").partition(".")
        if of != mark or int(query["pageSize"]) > (1000 if field == "files" else 100):
            return refusal(400, "invalid")
        end = int(start) + self.page_size
        page: dict[str, Any] = {"kind": f"drive#{field[:-1]}List", field: rows[int(start) : end]}
        if field == "files":
            page |= {field: [self._described(one) for one in page[field]], "incompleteSearch": False}
        if len(rows) > end:
            page["nextPageToken"] = f"{end}.{mark}"
        return _masked(page, query)


def _masked(value: dict[str, Any], query: dict[str, str]) -> Answer:
    """What `fields` names of a value; without it a few fields alone, as the service gives them."""
    return Answer.json(_only(value, query.get("fields", "kind,id,name,mimeType")))


def _only(value: Any, fields: str) -> Any:
    if isinstance(value, list):
        return [_only(one, fields) for one in value]
    named = re.findall(r"(\w+)(?:\(((?:[^()]|\([^()]*\))*)\))?", fields)
    return {name: _only(value[name], inner) if inner else value[name] for name, inner in named if name in value}
