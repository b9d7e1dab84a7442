"""One pass over a folder tree: files, problems, and whether the tree was seen completely."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.names import GlobSet, PatternState
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.filesystem.permissions import readers
from rag_assets.connectors.filesystem.safe_open import (
    ANYWHERE,
    PathRules,
    check_status,
    closing_fd,
    file_version_tag,
    open_folder,
    open_root,
    resolve_links,
    safe_open,
)
from rag_assets.connectors.outside import ListingState, with_readers
from rag_core.content.sources import Problem, SourceItem
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable

MAX_DEPTH = 64
"""Folders below the root; each level holds one open handle."""
_MAX_ERRORS = 10
_LATEST = 253_402_300_799
"""The last second of the year 9999, the last a `datetime` can hold; file times can have any value."""
_WORD = 2**128

Identity = tuple[int, int]
Entry = SourceItem | Problem


@dataclass(slots=True)
class _Place:
    """A path below the root, where the globs stand there (`None`: nowhere), and the folders above it."""

    path: str
    include: PatternState
    exclude: PatternState | None
    above: tuple[Identity, ...]

    @property
    def matches(self) -> bool:
        return self.include.complete and not (self.exclude is not None and self.exclude.complete)


class FilesystemListing(ListingState):
    """The `Listing` of a folder. May be iterated once."""

    def __init__(self, options: FilesystemOptions, limit: int, rules: PathRules = ANYWHERE) -> None:
        super().__init__()
        self._options, self._rules = options, rules
        self._limit = limit
        self._include = GlobSet(options.include, hidden=options.hidden)
        self._exclude = GlobSet(options.exclude, hidden=True)
        self._count = self._sum = 0
        # A root that is not there at all must raise here, before the caller believes in an empty listing.
        with closing_fd(open_root(options.root, rules)) as root:
            self._root = _identity(os.fstat(root))

    @property
    def version_tag(self) -> str:
        return f"{'' if self.complete else 'incomplete:'}{self._count}:{self._sum:032x}"

    def __iter__(self) -> Iterator[Entry]:
        with closing_fd(open_root(self._options.root, self._rules)) as root:
            for entry in self._folder(root, _Place("", self._include.start, self._exclude.start, ())):
                # A sum, because it needs no order and no memory.
                state = entry.version_tag if isinstance(entry, SourceItem) else entry.reason
                digest = hashlib.blake2b(f"{entry.locator}\0{state}".encode(), digest_size=16).digest()
                self._sum, self._count = (self._sum + int.from_bytes(digest)) % _WORD, self._count + 1
                yield entry
        self._check_root()
        self._finished = True

    def _check_root(self) -> None:
        """A volume that is mounted or unmounted during the walk makes what we saw half a truth."""
        try:
            with closing_fd(open_root(self._options.root, self._rules)) as root:
                same = _identity(os.fstat(root)) == self._root
        except Unavailable as error:
            self._errors[error.message] = None
        else:
            if not same:
                self._errors["the root folder was replaced while it was read"] = None

    def _folder(self, fd: int, place: _Place) -> Iterator[Entry]:
        above = (*place.above, _identity(os.fstat(fd)))
        prefix = f"{place.path}/" if place.path else ""
        for entry in self._names(fd, place):
            name = entry.name
            include = self._include.enter(place.include, name)
            exclude = self._exclude.enter(place.exclude, name) if place.exclude is not None else None
            if include is None or (exclude is not None and exclude.covers):
                continue
            found = _Place(prefix + name, include, exclude, above)
            try:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    if found.matches:
                        yield self._file(found.path, status)
                else:
                    yield from self._other(fd, name, found, status)
            except FileNotFoundError:
                continue  # gone since its folder was read: as if it had never been there
            except OSError as error:
                self._fail(found.path, error)

    def _names(self, fd: int, place: _Place) -> list[os.DirEntry[str]]:
        """The entries of a folder, sorted, so that two runs over the same tree do the same."""
        try:
            with os.scandir(fd) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._fail(place.path, error)
            return []

    def _other(self, fd: int, name: str, place: _Place, status: os.stat_result) -> Iterator[Entry]:
        """Handle what is not a regular file: a link, a folder to enter, or something unreadable."""
        if stat.S_ISLNK(status.st_mode):
            yield from self._link(place)
        elif stat.S_ISDIR(status.st_mode) and place.include.can_match_below:
            with closing_fd(open_folder(name, fd)) as inner:
                yield from self._subfolder(inner, place)
        elif place.matches:
            yield self._file(place.path, status)

    def _subfolder(self, fd: int, place: _Place) -> Iterator[Entry]:
        if _identity(os.fstat(fd)) in place.above:
            yield _problem(place.path, Reason.SYMLINK_IGNORED, "leads back to a folder above it", skipped=True)
        elif len(place.above) > MAX_DEPTH:
            yield _problem(place.path, Reason.NESTING_TOO_DEEP, f"folders more than {MAX_DEPTH} deep are not read")
        else:
            yield from self._folder(fd, place)

    def _link(self, place: _Place) -> Iterator[Entry]:
        if self._options.symlinks == "skip":
            if place.matches:
                message = "a symbolic link, which this source skips"
                yield _problem(place.path, Reason.SYMLINK_IGNORED, message, skipped=True)
            return
        try:
            parts = resolve_links(self._options.root, place.path.split("/"))
            opened = safe_open(self._options.root, parts, self._rules)
        except RagError as error:
            yield _problem(place.path, error.reason, error.message)
            return
        with closing_fd(opened) as fd:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode) and place.include.can_match_below:
                yield from self._subfolder(fd, place)
            elif place.matches:
                yield self._file(place.path, status)

    def _file(self, path: str, status: os.stat_result) -> Entry:
        locator = names.encode(path)
        if names.is_too_long(locator):
            return _problem(path, Reason.FIELD_INVALID, f"path longer than {names.MAX_LOCATOR_BYTES} bytes")
        try:
            check_status(status, limit=self._limit, refuse_links=self._options.hard_links == "refuse")
        except InvalidInput as error:
            return Problem(locator, error.reason, error.message)
        modified, tag = datetime.fromtimestamp(max(0, min(status.st_mtime, _LATEST)), UTC), file_version_tag(status)
        if self._options.directory:
            try:
                acl = readers(self._options.root, path.split("/"), self._options.directory, self._rules)
            except RagError as error:
                return Problem(locator, error.reason, error.message)
            tag = with_readers(tag, acl)
        return SourceItem(locator, tag, status.st_size, modified)

    def _fail(self, path: str, error: OSError) -> None:
        if len(self._errors) < _MAX_ERRORS:
            self._errors[f"{names.encode(path) or 'the root folder'} cannot be read ({error.strerror})"] = None


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _problem(path: str, reason: Reason, message: str, *, skipped: bool = False) -> Problem:
    locator = names.encode(path)
    if names.is_too_long(locator):
        locator = names.shorten(locator)
    return Problem(locator, reason, message, skipped)
