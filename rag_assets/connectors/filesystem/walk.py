"""One pass over a folder tree: what it holds, what cannot be used, and whether all of it was seen."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.beneath import (
    closing_fd,
    open_beneath,
    open_folder,
    open_root,
    real_parts,
)
from rag_assets.connectors.filesystem.globs import GlobSet, State
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.filesystem.reading import check_status
from rag_assets.connectors.filesystem.tokens import file_token
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.models import SourceItem
from rag_core.sources import Problem

MAX_DEPTH = 64
"""Folders below the root; each level holds one open handle."""

Identity = tuple[int, int]
Entry = SourceItem | Problem


@dataclass(frozen=True, slots=True)
class _Place:
    """A path below the root, where the globs stand there, and the folders above it."""

    path: str
    include: State
    exclude: State
    above: tuple[Identity, ...]


class FilesystemListing:
    """The `Listing` of a folder. May be iterated once."""

    def __init__(self, options: FilesystemOptions, limit: int) -> None:
        self._options = options
        self._limit = limit
        self._include = GlobSet(options.include, hidden=options.hidden)
        self._exclude = GlobSet(options.exclude, hidden=True)
        self._finished = False
        self._errors: list[str] = []
        # A root that is not there at all must raise here, before the caller believes in an empty listing.
        with closing_fd(open_root(options.root)) as root:
            self._root = _identity(os.fstat(root))

    @property
    def complete(self) -> bool:
        return self._finished and not self._errors

    @property
    def broken(self) -> bool:
        """Whether something could not be read, as opposed to not read yet."""
        return bool(self._errors)

    @property
    def error(self) -> str | None:
        if self._errors:
            return "; ".join(self._errors)
        return None if self._finished else "the listing was not read to its end"

    def __iter__(self) -> Iterator[Entry]:
        with closing_fd(open_root(self._options.root)) as root:
            place = _Place("", self._include.start, self._exclude.start, ())
            yield from self._folder(root, place)
        self._check_root()
        self._finished = True

    def _check_root(self) -> None:
        """A volume that is mounted or unmounted during the walk makes what we saw half a truth."""
        try:
            with closing_fd(open_root(self._options.root)) as root:
                same = _identity(os.fstat(root)) == self._root
        except Unavailable as error:
            self._errors.append(error.message)
        else:
            if not same:
                self._errors.append("the root folder was replaced while it was read")

    def _folder(self, fd: int, place: _Place) -> Iterator[Entry]:
        above = (*place.above, _identity(os.fstat(fd)))
        try:
            # Sorted, so that two runs over the same tree do the same; the names of one folder fit in memory.
            with os.scandir(fd) as entries:
                found = sorted((os.fsencode(entry.name), entry) for entry in entries)
        except OSError as error:
            self._fail(place.path, error)
            return
        for _, entry in found:
            include = self._include.enter(place.include, entry.name)
            exclude = self._exclude.enter(place.exclude, entry.name)
            if include and not self._exclude.covers_folder(exclude):
                path = f"{place.path}/{entry.name}" if place.path else entry.name
                yield from self._entry(fd, entry, _Place(path, include, exclude, above))

    def _entry(self, fd: int, entry: os.DirEntry[str], place: _Place) -> Iterator[Entry]:
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                yield from self._link(place)
            elif stat.S_ISDIR(status.st_mode) and self._include.leads_on(place.include):
                with closing_fd(open_folder(entry.name, fd)) as inner:
                    yield from self._subfolder(inner, place)
            else:
                yield from self._file(place, status)
        except FileNotFoundError:
            return  # gone since its folder was read: as if it had never been there
        except OSError as error:
            self._fail(place.path, error)

    def _subfolder(self, fd: int, place: _Place) -> Iterator[Entry]:
        if _identity(os.fstat(fd)) in place.above:
            yield _problem(place.path, Reason.SYMLINK_IGNORED, "leads back to a folder above it", skipped=True)
        elif len(place.above) > MAX_DEPTH:
            yield _problem(place.path, Reason.NESTING_TOO_DEEP, f"folders more than {MAX_DEPTH} deep are not read")
        else:
            yield from self._folder(fd, place)

    def _link(self, place: _Place) -> Iterator[Entry]:
        if self._options.symlinks == "skip":
            if self._matches(place):
                yield _problem(
                    place.path, Reason.SYMLINK_IGNORED, "a symbolic link, which this source skips", skipped=True
                )
            return
        try:
            parts = real_parts(self._options.root, place.path.split("/"))
            opened = open_beneath(self._options.root, parts)
        except RagError as error:
            yield _problem(place.path, error.reason, error.message)
            return
        with closing_fd(opened) as fd:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode) and self._include.leads_on(place.include):
                yield from self._subfolder(fd, place)
            else:
                yield from self._file(place, status)

    def _file(self, place: _Place, status: os.stat_result) -> Iterator[Entry]:
        if not self._matches(place):
            return
        locator = names.encode(place.path)
        if names.is_too_long(locator):
            yield Problem(
                names.shorten(locator), Reason.FIELD_INVALID, f"path longer than {names.MAX_LOCATOR_BYTES} bytes"
            )
            return
        try:
            check_status(status, limit=self._limit, refuse_links=self._options.hard_links == "refuse")
        except InvalidInput as error:
            yield Problem(locator, error.reason, error.message)
            return
        modified = datetime.fromtimestamp(max(0, min(status.st_mtime, _LATEST)), UTC)
        yield SourceItem(locator, file_token(status), status.st_size, modified)

    def _matches(self, place: _Place) -> bool:
        return self._include.matches_file(place.include) and not self._exclude.matches_file(place.exclude)

    def _fail(self, path: str, error: OSError) -> None:
        if len(self._errors) < _MAX_ERRORS:
            self._errors.append(f"{names.encode(path) or 'the root folder'} cannot be read ({error.strerror})")


_MAX_ERRORS = 10
_LATEST = 253_402_300_799
"""The last second of the year 9999, the last a `datetime` can hold; file times are whatever someone set."""


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def _problem(path: str, reason: Reason, message: str, *, skipped: bool = False) -> Problem:
    locator = names.encode(path)
    if names.is_too_long(locator):
        locator = names.shorten(locator)
    return Problem(locator, reason, message, skipped)
