"""The connector of files on a server, whatever fsspec backend reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final, cast

from rag_assets.connectors.files.options import FilesOptions
from rag_assets.connectors.files.server import Entry, FileServer, LinkAway
from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.permissions import Rights
from rag_assets.connectors.outside import ConnectorContext, ListingState, PolledConnector, read_item, with_readers
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.governance.access import EVERYONE

MAX_DEPTH: Final = 64
_READS: Final = 3
"""Tries to read a file whose size and time are the same before and after."""
EVERYBODY: Final = Rights(frozenset({EVERYONE}))
_UNKNOWN_TYPES: Final = frozenset({"application/octet-stream", "application/x-unknown", ""})


class FilesConnector(PolledConnector):
    """Reads the files below one folder of a server."""

    def __init__(self, options: FilesOptions, context: ConnectorContext) -> None:
        self._options = options
        self._limit = context.limit(options.max_file_bytes)
        self._server = FileServer(options, context.fetch_policy, self._limit)

    def list_items(self) -> FilesListing:
        return FilesListing(self._options, self._server, self._limit)

    def fetch(self, item: SourceItem) -> FetchedItem:
        path = f"{self._options.path.rstrip('/')}/{'/'.join(names.decode(item.locator))}"
        before = self._server.info(path)
        for _ in range(_READS):
            if int(before.get("size") or 0) > self._limit:
                message = f"the file has {before['size']} > {self._limit} bytes"
                raise InvalidInput(Reason.FILE_TOO_LARGE, message)
            content = self._server.read(path)
            after = self._server.info(path)
            if tag_of(before) == tag_of(after):
                break
            before = after
        else:
            raise Unavailable(Reason.CHANGED_WHILE_READING, "the file is being written; the next run reads it")
        media_type = str(after.get("content_type") or "").split(";")[0].strip().lower()
        # The tag of what was read, which may be newer than what was listed.
        tag, acl = tag_of(after), self._acl(path, after)
        tag = tag if acl is None else with_readers(tag, acl)
        read = read_item(item, content, self._limit, "the file", version_tag=tag, modified_at=modified_of(after))
        return FetchedItem(read, content, None if media_type in _UNKNOWN_TYPES else media_type, acl=acl)

    def _acl(self, path: str, entry: Entry) -> tuple[str, ...] | None:
        """Return who may read a file, by its rights and those of each folder from the source's to it."""
        directory = self._options.principals
        if directory is None:
            return None
        found, top = rights_of(entry), self._options.path.rstrip("/")
        while len(path) > len(top):
            path = path.rpartition("/")[0]
            found &= rights_of(self._server.info(path or "/"))
        return found.acl(directory)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._server.close()


class FilesListing(ListingState):
    """One pass over the folders of a server, one request for each. It is complete when each could be read."""

    def __init__(self, options: FilesOptions, server: FileServer, limit: int) -> None:
        super().__init__()
        self._options, self._server, self._limit = options, server, limit
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=options.hidden)
        self._hash, self._seen = hashlib.sha256(), 0

    @property
    def version_tag(self) -> str:
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        folders: list[tuple[str, Rights]] = [("", EVERYBODY)]
        while folders and self._seen <= self._options.max_files:
            folder, above = folders.pop()
            try:
                if not folder and self._options.principals:
                    above = rights_of(self._server.info(self._options.path))
                entries = self._entries(folder)
            except NotFound:
                missing = names.encode(f"{self._options.path.rstrip('/')}/{folder}".rstrip("/") or "/")
                self._fail(Reason.SOURCE_UNAVAILABLE, f"the folder {missing} is not there")
                continue
            except RagError as error:
                self._errors[str(error)] = None
                if isinstance(error, LinkAway):
                    continue
                return
            for path, entry in entries:
                if entry.get("type") == "directory":
                    self._enter(path, folders, above & rights_of(entry))
                elif (found := self._entry(path, entry, above)) is not None:
                    yield found
        if self._seen > self._options.max_files:
            most = f"more than max_files ({self._options.max_files}); name a folder further down, or raise it"
            self._fail(Reason.LISTING_INCOMPLETE, most)
        self._finished = True

    def _entries(self, folder: str) -> list[tuple[str, Entry]]:
        """Return a folder's entries by name. Raises `Unavailable` (`RESPONSE_INVALID`) for what is not in it."""
        root = self._options.path.strip("/")
        place = "/".join(filter(None, (root, folder)))
        found: dict[str, Entry] = {}
        for entry in self._server.entries(f"/{place}"):
            above, _, name = str(entry["name"]).strip("/").rpartition("/")
            if above != place or name in ("", ".", ".."):
                raise Unavailable(Reason.RESPONSE_INVALID, "the server lists names that are not in the folder")
            found[f"{folder}/{name}" if folder else name] = entry
        return sorted(found.items())

    def _enter(self, path: str, folders: list[tuple[str, Rights]], rights: Rights) -> None:
        if path.count("/") >= MAX_DEPTH:
            self._fail(Reason.LISTING_INCOMPLETE, f"folders are nested more than {MAX_DEPTH} deep")
        else:
            folders.append((path, rights))

    def _entry(self, path: str, entry: Entry, above: Rights) -> SourceItem | Problem | None:
        if not self._chosen(path):
            return None
        self._seen += 1
        locator, tag, directory = names.encode(path), tag_of(entry), self._options.principals
        if directory:
            tag = with_readers(tag, (above & rights_of(entry)).acl(directory))
        self._hash.update(f"{locator}\x1f{tag}\n".encode("utf-8", "surrogatepass"))
        if names.is_too_long(locator):
            return Problem(names.shorten(locator), Reason.ID_CHARS, "the path is too long")
        if entry.get("type") != "file":
            return Problem(locator, Reason.SYMLINK_IGNORED, "a link, which is not followed", skipped=True)
        size = int(entry.get("size") or 0)
        if size > self._limit:
            return Problem(locator, Reason.FILE_TOO_LARGE, f"the file has {size} > {self._limit} bytes")
        return SourceItem(locator, tag, size, modified_of(entry))

    def _fail(self, reason: Reason, message: str) -> None:
        self._errors[f"{reason}: {message}"] = None


def tag_of(entry: Entry) -> str:
    """The version tag of a file: its size, its time, and the server's own tag where it has one."""
    modified = modified_of(entry)
    parts = (entry.get("size"), modified.isoformat() if modified else "", entry.get("etag") or entry.get("md5"))
    return ":".join(str(part or "").strip('"') for part in parts)


def rights_of(entry: Entry) -> Rights:
    """Return the rights of a file or folder; those of nobody where the server does not say owner and mode."""
    if "rights" in entry:
        return cast(Rights, entry["rights"])
    owner, group, mode = entry.get("uid"), entry.get("gid"), entry.get("mode")
    if owner is None or group is None or mode is None:
        return Rights()
    return Rights.of_mode(owner, group, mode, folder=entry.get("type") == "directory")


def modified_of(entry: Entry) -> datetime | None:
    """Return the time of the last change, under whichever name the backend has it."""
    found = next((entry[name] for name in ("mtime", "modified", "last_modified") if entry.get(name)), None)
    return found if isinstance(found, datetime) else None
