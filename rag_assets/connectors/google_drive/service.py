"""Calls of the Drive API v3 and what they answer: https://developers.google.com/workspace/drive/api/reference/rest/v3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from rag_assets.connectors.google_account import GoogleAccount, ServiceAccountKey
from rag_assets.connectors.google_drive.options import GoogleDriveOptions
from rag_assets.connectors.json_host import JsonHost
from rag_assets.connectors.paging import all_pages
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.http_client import Again, Fetched, FetchPolicy, Pacing

FOLDER: Final = "application/vnd.google-apps.folder"
SHORTCUT: Final = "application/vnd.google-apps.shortcut"
GOOGLE: Final = "application/vnd.google-apps."
_SCOPE: Final = "https://www.googleapis.com/auth/drive.readonly"
_FILE: Final = (
    "id,name,mimeType,description,modifiedTime,md5Checksum,size,webViewLink,trashed,driveId,parents,"
    "lastModifyingUser(displayName),shortcutDetails(targetId),capabilities(canDownload,canShare)"
)
_READER: Final = "type,emailAddress,domain,allowFileDiscovery,deleted,view"
_TOO_OFTEN: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_NO_CONTENT: Final = frozenset(
    {"fileNotDownloadable", "fileNotExportable", "cannotDownloadFile", "cannotExportFile", "cannotDownloadAbusiveFile"}
)


class DriveService:
    """The files of one account. Used from one thread. Raises what `JsonHost` raises."""

    def __init__(self, options: GoogleDriveOptions, policy: FetchPolicy) -> None:
        pacing, login = Pacing(options.requests_per_second, options.attempts), options.credentials
        self._host = JsonHost(
            f"{options.endpoint.rstrip('/')}/drive/v3",
            policy,
            partial(GoogleAccount, login, scope=_SCOPE, subject=options.subject)
            if isinstance(login, ServiceAccountKey)
            else login,
            pacing,
            what="Google Drive",
            refusals=_explain,
        )
        # Readers are asked for only where they are used: with them a page holds fewer files.
        self._fields = _FILE + (f",permissionIds,permissions({_READER})" if options.directory else "")

    def drives(self) -> Iterator[str]:
        """The ids of all shared drives that the account is a member of."""
        pages = self._pages("/drives", "drives", {"pageSize": 100}, "id")
        return (str(one["id"]) for one in pages)

    def drive_name(self, drive: str) -> str:
        """The name of a shared drive."""
        return str(self._json(f"/drives/{quote(drive)}", {"fields": "name"}, "name")["name"])

    def log_position(self, drive: str) -> str:
        """The end of the log of changes: the account's own, or that of a shared drive. It moves with every change."""
        said = self._json("/changes/startPageToken", _of_drive(drive), "startPageToken")
        return str(said["startPageToken"])

    def files(self, query: str, drive: str) -> Iterator[dict[str, Any]]:
        """The files and folders in a shared drive, or (`drive` is empty) those of the account, that a query names."""
        params: dict[str, str | int] = {"q": f"({query}) and trashed = false", "pageSize": 1000}
        params |= {"corpora": "drive" if drive else "user", "includeItemsFromAllDrives": "true"} | _of_drive(drive)
        return self._pages("/files", "files", params, self._fields)

    def file(self, name: str) -> dict[str, Any]:
        """One file or folder, also in the trash. Raises `NotFound` (`VANISHED`)."""
        params = {"fields": self._fields, "supportsAllDrives": "true"}
        return self._json(f"/files/{quote(name)}", params, "id", "name", "mimeType", "modifiedTime")

    def permissions(self, name: str) -> list[dict[str, Any]]:
        """Everybody with whom a file is shared, there or at a place above it."""
        params: dict[str, str | int] = {"pageSize": 100, "supportsAllDrives": "true"}
        return list(self._pages(f"/files/{quote(name)}/permissions", "permissions", params, _READER))

    def content(self, name: str, exported: str | None) -> bytes:
        """A file as it was uploaded, or a document of Google's own as a file of another type."""
        params = {"alt": "media", "supportsAllDrives": "true"} if exported is None else {"mimeType": exported}
        path = f"/files/{quote(name)}" + ("" if exported is None else "/export")
        return self._host.read(path, params).content

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._host.close()

    def _pages(self, path: str, field: str, params: Mapping[str, str | int], fields: str) -> Iterator[dict[str, Any]]:
        named = f"kind,nextPageToken,{field}({fields})" + (",incompleteSearch" if field == "files" else "")

        def read(token: str | None) -> tuple[list[dict[str, Any]], str | None]:
            page = self._json(path, {**params, "fields": named} | ({"pageToken": token} if token else {}), "kind")
            if page["kind"] != f"drive#{field[:-1]}List" or page.get("incompleteSearch"):
                raise Unavailable(Reason.LISTING_INCOMPLETE, "Google Drive did not search everything")
            return page.get(field, []), page.get("nextPageToken") or None

        return all_pages(read, "Google Drive")

    def _json(self, path: str, params: Mapping[str, str | int], *needed: str) -> dict[str, Any]:
        said = self._host.get(path, params)
        if not isinstance(said, dict) or not said.keys() >= set(needed):
            raise Unavailable(Reason.RESPONSE_INVALID, "Google Drive answers in another form")
        return said


def _of_drive(drive: str) -> dict[str, str]:
    return {"supportsAllDrives": "true"} | ({"driveId": drive} if drive else {})


def _explain(answer: Fetched) -> None:
    """Raise the error that an answer with status 403 is: it asks to wait, or refuses.

    https://developers.google.com/workspace/drive/api/guides/handle-errors
    """
    try:
        reason = str(json.loads(answer.content)["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError, RecursionError):
        reason = ""
    if reason in _TOO_OFTEN:
        raise Again(Unavailable(Reason.RATE_LIMITED, "Google Drive asks for fewer requests"))
    if reason == "exportSizeLimitExceeded":
        raise InvalidInput(Reason.FILE_TOO_LARGE, "Google exports no document of more than 10 MB")
    if reason in _NO_CONTENT:
        raise InvalidInput(Reason.UNREADABLE, "Google Drive gives no content of this file")
    said = f" ({reason})" if reason.isalnum() and len(reason) < 64 else ""
    raise Unavailable(Reason.ACCESS_REFUSED, f"Google Drive refuses the request{said}; check the account's rights")
