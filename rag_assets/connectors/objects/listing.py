"""One pass over the keys of a store, and the version tag of what was seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.objects.options import ObjectOptions
from rag_assets.connectors.outside import ListingState
from rag_core.content.sources import Problem, SourceItem
from rag_core.errors import NotFound, RagError, Reason

_UNKNOWN_TYPES: Final = frozenset({"binary/octet-stream", "application/octet-stream", ""})
"""Types that services give an object of which nobody said the type; its name and content say more."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing or its own headers describe it."""

    key: str
    tag: str
    size: int = 0
    modified_at: datetime | None = None
    media_type: str = ""
    archived: bool = False

    @property
    def is_folder(self) -> bool:
        """True for what consoles make to show a folder."""
        return self.key.endswith("/") and not self.size

    @property
    def known_type(self) -> str | None:
        """The media type, if somebody said one."""
        found = self.media_type.split(";")[0].strip().lower()
        return None if found in _UNKNOWN_TYPES else found


class ObjectStore(Protocol):
    """A bucket or container. Raises what keeps it from being read."""

    def objects(self) -> Iterator[StoredObject]:
        """Every object below the prefix, in the order of keys."""

    def read(self, key: str, tag: str) -> tuple[StoredObject, bytes]:
        """An object and its content; `tag` is what was listed. Raises `NotFound` (`VANISHED`)."""

    def close(self) -> None:
        """Close the connections. Idempotent."""


class ObjectListing(ListingState):
    """The `Listing` of a store. `limit` is the largest object in bytes.

    With `most` it ends there, complete, as the change sensor compares only the first keys of a large bucket.
    """

    def __init__(self, options: ObjectOptions, store: ObjectStore, limit: int, *, most: int | None = None) -> None:
        super().__init__()
        self._options, self._store, self._limit, self._most = options, store, limit, most
        self._chosen = _KeyFilter(options)
        self._hash, self._seen = hashlib.sha256(), 0

    @property
    def version_tag(self) -> str:
        """A hash of the first `polled_objects` keys and their tags, which is what the change sensor reads."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        try:
            yield from self._entries()
        except NotFound as error:
            self._errors[f"{Reason.SOURCE_UNAVAILABLE}: {error.message}"] = None
        except RagError as error:
            self._errors[str(error)] = None
        self._finished = True

    def _entries(self) -> Iterator[SourceItem | Problem]:
        for found in self._store.objects():
            if found.is_folder:
                continue
            self._seen += 1
            if self._seen <= self._options.polled_objects:
                self._hash.update(f"{found.key}\x1f{found.tag}\n".encode("utf-8", "surrogatepass"))
            elif self._most is not None:
                return
            if self._seen > self._options.max_objects:
                most = f"more than max_objects ({self._options.max_objects}); choose a prefix, or raise it"
                self._errors[f"{Reason.LISTING_INCOMPLETE}: {most}"] = None
                return
            entry = self.entry(found)
            if entry is not None:
                yield entry

    def entry(self, found: StoredObject) -> SourceItem | Problem | None:
        """Return the item of an object, or the problem with it; `None` when it is not one of the source's."""
        if found.is_folder or not self._chosen(found.key):
            return None
        locator = names.encode(found.key)
        if names.is_too_long(locator):
            return Problem(names.shorten(locator), Reason.ID_CHARS, "the key is too long")
        if {".", ".."} & set(found.key.split("/")):
            # Clients, proxies and servers resolve such parts of a path before the bucket sees them.
            return Problem(locator, Reason.ID_CHARS, "a key with the part `.` or `..` cannot be asked for by URL")
        if found.size > self._limit:
            return Problem(locator, Reason.FILE_TOO_LARGE, f"the object has {found.size} > {self._limit} bytes")
        if found.archived:
            return Problem(
                locator, Reason.UNREADABLE, "the object is archived; restore it, or exclude it", skipped=True
            )
        return SourceItem(locator, found.tag, found.size, found.modified_at)


class _KeyFilter:
    """Filter of the source's keys: below its prefix, included and not excluded."""

    def __init__(self, options: ObjectOptions) -> None:
        self._prefix = options.prefix
        # A prefix need not end at a slash; the globs see what follows the last one in it.
        self._folder = options.prefix.rpartition("/")[0]
        self._chosen = names.PathFilter(options.include, options.exclude, hidden=True)

    def __call__(self, key: str) -> bool:
        path = key[len(self._folder) :].lstrip("/")
        return key.startswith(self._prefix) and bool(path) and self._chosen(path)


def http_time(text: str | None) -> datetime | None:
    """Return the time of a header such as Last-Modified."""
    try:
        return parsedate_to_datetime(text or "")
    except (ValueError, TypeError):
        return None
