"""The connector: what of Google Drive is listed, how its own types are exported, and who may read a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.google_drive.options import GoogleDriveOptions
from rag_assets.connectors.google_drive.service import FOLDER, GOOGLE, SHORTCUT, DriveService
from rag_assets.connectors.outside import ConnectorContext, EntryListing, PolledConnector, read_item
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import principals
from rag_core.ids import fingerprint

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
# Office types lose least: HTML comes as an archive, CSV has the first sheet alone, plain text has no headings, and
# Markdown no merged cells, and pictures as text, with which more documents are too large for Google to export.
EXPORTS: Final = {
    f"{GOOGLE}document": (f"{_OFFICE}.wordprocessingml.document", ".docx"),
    f"{GOOGLE}spreadsheet": (f"{_OFFICE}.spreadsheetml.sheet", ".xlsx"),
    f"{GOOGLE}presentation": (f"{_OFFICE}.presentationml.presentation", ".pptx"),
    f"{GOOGLE}drawing": ("application/pdf", ".pdf"),
}
_MOST_LEVELS: Final = 200


class _Folder(NamedTuple):
    name: str
    parent: str


class GoogleDriveConnector(PolledConnector):
    """Reads the files of one account. A file is named by its id, which renaming and moving leave as it is."""

    def __init__(self, options: GoogleDriveOptions, context: ConnectorContext) -> None:
        self._options, self._drive = options, DriveService(options, context.fetch_policy)
        self._limit = context.limit(options.max_file_bytes)
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)
        self._drive_names: dict[str, str] = {}
        self._before = ""

    def list_items(self) -> EntryListing:
        # Where the logs ended before it: later changes move them.
        tag = None if self._options.directory else (lambda: self._before)
        return EntryListing(self._entries, "Google Drive", self._options.max_documents, tag)

    def fetch(self, item: SourceItem) -> FetchedItem:
        about = self._drive.file(item.locator.partition(".")[0])
        if about.get("trashed"):
            raise NotFound(Reason.VANISHED, "the file is in the trash")
        media_type, _ = EXPORTS.get(about["mimeType"], (None, ""))
        # The description is read before the content, so that a change in between is seen by the next listing.
        acl = self._readers(about)
        content = self._drive.content(about["id"], media_type)
        tag, at = self._tag(about, acl), _time(about)
        read = read_item(item, content, self._limit, "the file", version_tag=tag, modified_at=at)
        said = media_type or str(about["mimeType"])
        known = None if said == "application/octet-stream" else said
        return FetchedItem(read, content, known, str(about["name"]), acl, self._metadata(about))

    def read_version_tag(self) -> str:
        """Return where the logs of changes end, one call each.

        No log is documented to have a file's entry when a folder or drive above it is shared with others, so that
        with readers the listing is read.
        """
        return super().read_version_tag() if self._options.directory else self._position()

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._drive.close()

    def _position(self) -> str:
        # The account's own log has the targets of shortcuts, which may be anywhere.
        logs = dict.fromkeys(["", *self._drives(), *(drive for _, drive in self._tops())])
        return fingerprint(*(f"{drive}={self._drive.log_position(drive)}" for drive in logs))

    def _drives(self) -> Sequence[str]:
        options = self._options
        return options.drives if options.drives or options.folders else list(self._drive.drives())

    def _tops(self) -> Iterator[tuple[str, str]]:
        """The folders of the options, each with the shared drive that it is in, if any."""
        for folder in self._options.folders:
            about = self._drive.file(folder)
            yield str(about["id"]), str(about.get("driveId") or "")

    def _entries(self) -> Iterator[SourceItem | Problem]:
        if not self._options.directory:
            self._before = self._position()
        seen, targets = set[str](), dict[str, None]()
        for path, about in self._files():
            if not self._chosen(path):
                continue
            if about["mimeType"] == SHORTCUT:
                targets[str(about["shortcutDetails"]["targetId"])] = None
                continue
            seen.add(about["id"])
            yield self._entry(about)
        for target in targets:
            if target not in seen and (found := self._target(target)) is not None:
                yield self._entry(found)

    def _files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Path and description of each file that the options name."""
        for folder, drive in self._tops():
            yield from self._below(folder, drive)
        drives = self._drives()
        everything = not (self._options.drives or self._options.folders)
        for drive in (*([""] if everything else []), *drives):
            found = self._drive.files(f"mimeType = '{FOLDER}'", drive)
            folders = {one["id"]: _Folder(_name(one), _parent(one)) for one in found}
            for about in self._drive.files(f"mimeType != '{FOLDER}'", drive):
                if drive or about.get("driveId") not in drives:
                    yield _path(about, folders), about

    def _below(self, top: str, drive: str) -> Iterator[tuple[str, dict[str, Any]]]:
        # One folder a request: what a search for the children of several folders leaves out would be deleted.
        waiting, entered = [(top, "")], {top}
        while waiting:
            folder, path = waiting.pop()
            for about in self._drive.files(f"'{folder}' in parents", drive):
                if about["mimeType"] != FOLDER:
                    yield path + _name(about), about
                elif about["id"] not in entered:
                    entered.add(about["id"])
                    waiting.append((about["id"], f"{path}{_name(about)}/"))

    def _target(self, target: str) -> dict[str, Any] | None:
        """The file that a shortcut leads to; `None` when it is gone, or is no file."""
        try:
            found = self._drive.file(target)
        except NotFound:
            return None
        return None if found.get("trashed") or found["mimeType"] in (FOLDER, SHORTCUT) else found

    def _entry(self, about: dict[str, Any]) -> SourceItem | Problem:
        media_type, size = str(about["mimeType"]), int(about.get("size") or 0)
        own = media_type.startswith(GOOGLE)
        locator = about["id"] + (EXPORTS.get(media_type, ("", ""))[1] if own else names.suffix_of(str(about["name"])))
        if own and media_type not in EXPORTS:
            return Problem(locator, Reason.TYPE_UNSUPPORTED, f"{media_type} is not exported", skipped=True)
        if about.get("capabilities", {}).get("canDownload") is False:
            return Problem(locator, Reason.UNREADABLE, "its owner lets nobody download it", skipped=True)
        if not own and size > self._limit:
            return Problem(locator, Reason.FILE_TOO_LARGE, f"the file has {size} > {self._limit} bytes")
        return SourceItem(locator, self._tag(about), None if own else size, _time(about))

    def _tag(self, about: dict[str, Any], acl: tuple[str, ...] | None = None) -> str:
        """Changes with content, name and readers.

        A listing of a shared drive has the ids of the readers and not their names, which are asked for when the file
        is read.
        """
        readers: Sequence[str] = ()
        if self._options.directory:
            ids = None if "permissions" in about else about.get("permissionIds")
            readers = (acl or self._readers(about) or ()) if ids is None else sorted(ids)
        share = str(about.get("capabilities", {}).get("canShare"))
        content = about.get("md5Checksum") or about["modifiedTime"]
        return f"{content}:{fingerprint(about['name'], about['mimeType'], share, *readers)}"

    def _readers(self, about: dict[str, Any]) -> tuple[str, ...] | None:
        """Return those with whom a file is shared; nobody where the account may not know that."""
        if self._options.directory is None:
            return None
        shared = about.get("permissions")
        if shared is None and about.get("capabilities", {}).get("canShare"):
            shared = self._drive.permissions(about["id"])
        found = {_principal(one) for one in shared or () if not one.get("deleted") and not one.get("view")}
        return principals(self._options.directory, sorted(found - {""})) or (NOBODY,)

    def _metadata(self, about: dict[str, Any]) -> dict[str, str]:
        drive = str(about.get("driveId") or "")
        if drive and drive not in self._drive_names:
            try:
                self._drive_names[drive] = self._drive.drive_name(drive)
            except (NotFound, Unavailable):  # of a file that is shared alone, the drive's name is not told
                self._drive_names[drive] = ""
        said = {
            "url": about.get("webViewLink"),
            "author": about.get("lastModifyingUser", {}).get("displayName"),
            "description": about.get("description"),
            "drive": self._drive_names.get(drive),
        }
        return {name: str(text) for name, text in said.items() if text}


def _principal(permission: dict[str, Any]) -> str:
    """The name of whom a permission admits. Who must know a link to come in is not everybody."""
    kind, found = permission["type"], bool(permission.get("allowFileDiscovery"))
    if kind in ("user", "group"):
        return f"email:{permission['emailAddress']}" if permission.get("emailAddress") else ""
    if kind == "domain":
        return f"{'domain' if found else 'link'}:{str(permission['domain']).lower()}"
    return (EVERYONE if found else "link:anyone") if kind == "anyone" else ""


def _name(about: dict[str, Any]) -> str:
    return str(about["name"]).replace("/", "_")


def _path(about: dict[str, Any], folders: dict[str, _Folder]) -> str:
    """The path below the drive, as far as the account sees the folders above."""
    parts, parent = [_name(about)], _parent(about)
    while parent in folders and len(parts) <= _MOST_LEVELS:
        parts.append(folders[parent].name)
        parent = folders[parent].parent
    return "/".join(reversed(parts))


def _parent(about: dict[str, Any]) -> str:
    return str((about.get("parents") or [""])[0])


def _time(about: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(about["modifiedTime"])
