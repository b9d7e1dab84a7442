"""Open and read files below the source's folder and nowhere else, and compute their version tags."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rag_core.errors import ConfigError, InvalidInput, NotFound, PermissionDenied, RagError, Reason, Unavailable
from rag_core.files import open_resolved
from rag_core.settings import SourceAllowance

# --------------------------------------------------------------------------------------------------------------------
# Opening what lies below a folder, and only that.


CORPUS = "corpus"
"""Folder in RAG_HOME with documents that `rag up` makes itself."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def closing_fd(fd: int) -> Iterator[int]:
    """Close a descriptor when the block ends."""
    try:
        yield fd
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class PathRules:
    """Rules for the paths that a source opens, applied to what a name leads to at that moment: never in `home`
    (RAG_HOME, resolved), and with an `allowance` only below its folders."""

    home: Path | None = None
    allowance: SourceAllowance | None = None

    def open(self, path: str, flags: int) -> int:
        """Open a file or folder. Raises `OSError`, `ConfigError` (`PATH_OUTSIDE_ROOT`) and `PermissionDenied`
        (`SOURCE_NOT_ALLOWED`)."""
        return open_resolved(path, flags, self.accept)

    def open_to_browse(self, path: str) -> int:
        """Open a folder to list its folders: as `open`, but a folder above `home` may be passed through."""
        return open_resolved(path, _FOLDER & ~os.O_NOFOLLOW, partial(self.accept, above_home=True))

    def accept(self, resolved: Path, *, above_home: bool = False) -> None:
        """Raise for a resolved path that the source may not open."""
        if self.home is not None and not (above_home and resolved in self.home.parents):
            _require_apart(resolved, self.home)
        if self.allowance is not None and not self.allowance.names_path(resolved):
            message = "the folder or file leads to a place that your tenant may not read (RAG_SOURCE_ALLOWANCES)"
            raise PermissionDenied(Reason.SOURCE_NOT_ALLOWED, message)


ANYWHERE = PathRules()


def open_root(root: str, rules: PathRules = ANYWHERE) -> int:
    """Open the root, which itself may be a link. Raises `Unavailable` (`UNREADABLE`), and as `PathRules.open`."""
    try:
        return rules.open(root, _FOLDER)
    except OSError as error:
        raise Unavailable(Reason.UNREADABLE, f"the root folder cannot be opened ({error.strerror})") from None


def open_folder(name: str, parent: int) -> int:
    """Open a subfolder. Raises `OSError`."""
    return os.open(name, _FOLDER, dir_fd=parent)


def _require_apart(resolved: Path, home: Path) -> None:
    """Refuse a path that holds RAG_HOME or lies in it: its secrets, logs and database are no documents.

    The corpus that `rag up` makes of installed packages stands there too, in a folder of its own. Raises `ConfigError`
    (`PATH_OUTSIDE_ROOT`).
    """
    # Parts are compared, which `Path` keeps: `is_relative_to` makes a path each time, for each file that is opened.
    path, own = resolved.parts, home.parts
    inside = path[: len(own)] == own and path[len(own) : len(own) + 1] != (CORPUS,)
    if inside or own[: len(path)] == path:
        message = "path: holds RAG_HOME or lies in it; choose a place apart from the installation's own state"
        raise ConfigError(Reason.PATH_OUTSIDE_ROOT, message)


def safe_open(root: str, parts: Sequence[str], rules: PathRules = ANYWHERE) -> int:
    """Open `root/parts` through real folders only; the caller closes it.

    Raises `InvalidInput` (`SYMLINK_ESCAPE`, `NOT_A_REGULAR_FILE`), `NotFound` (`VANISHED`) or `Unavailable`
    (`UNREADABLE`).
    """
    return open_below(open_root(root, rules), parts)


def open_below(root: int, parts: Sequence[str]) -> int:
    """As `safe_open`, below an open folder, which is closed."""
    fd = root
    for index, name in enumerate(parts):
        flags = _FILE if index == len(parts) - 1 else _FOLDER
        with closing_fd(fd):
            try:
                fd = os.open(name, flags, dir_fd=fd)
            except OSError as error:
                raise _explain(error, is_link=_is_link(name, fd)) from None
    return fd


def resolve_links(root: str, parts: Sequence[str]) -> tuple[str, ...]:
    """Resolve every link in `root/parts` and return the parts below the resolved root.

    Raises `InvalidInput` (`SYMLINK_ESCAPE`) when the target lies outside or the links form a loop. The result is only a
    claim about this moment: open it with `safe_open`, which follows nothing.
    """
    try:
        base = Path(root).resolve(strict=True)
        return base.joinpath(*parts).resolve(strict=True).relative_to(base).parts
    except OSError as error:
        raise _explain(error) from None
    except (ValueError, RuntimeError):  # outside; up to Python 3.12 a loop is a RuntimeError
        raise _explain(OSError(errno.ELOOP, "")) from None


def _explain(error: OSError, *, is_link: bool = False) -> RagError:
    if is_link or error.errno == errno.ELOOP:
        return InvalidInput(Reason.SYMLINK_ESCAPE, "a symbolic link that is not followed or leads outside the root")
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return InvalidInput(Reason.NOT_A_REGULAR_FILE, "a socket or device, not a regular file")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(Reason.VANISHED, "the file is gone")
    return Unavailable(Reason.UNREADABLE, f"the file cannot be read ({error.strerror})")


def _is_link(name: str, parent: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


# --------------------------------------------------------------------------------------------------------------------
# Reading one file whole, or not at all.


ATTEMPTS = 3


def read_stable(
    root: str, parts: Sequence[str], *, limit: int, refuse_links: bool, rules: PathRules = ANYWHERE
) -> tuple[bytes, os.stat_result]:
    """Bytes of a regular file that did not change while they were read, and its status.

    Raises `InvalidInput` (`NOT_A_REGULAR_FILE`, `FILE_TOO_LARGE`, `SYMLINK_ESCAPE`), `NotFound` (`VANISHED`),
    `Unavailable` (`UNREADABLE`, `CHANGED_WHILE_READING` after three attempts).
    """
    for _ in range(ATTEMPTS):
        with closing_fd(safe_open(root, parts, rules)) as fd:
            before = os.fstat(fd)
            check_status(before, limit=limit, refuse_links=refuse_links)
            content = _read(fd, before.st_size)
            if len(content) == before.st_size and _same(before, os.fstat(fd)):
                return content, before
    raise Unavailable(Reason.CHANGED_WHILE_READING, "the file kept changing while it was read")


def check_status(status: os.stat_result, *, limit: int, refuse_links: bool) -> None:
    """Raise `InvalidInput` when a file of this status is never read."""
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(Reason.NOT_A_REGULAR_FILE, "a folder, pipe, socket or device, not a regular file")
    if refuse_links and status.st_nlink > 1:
        raise InvalidInput(Reason.SYMLINK_ESCAPE, "the file has hard links, which this source refuses")
    if status.st_size > limit:
        raise InvalidInput(Reason.FILE_TOO_LARGE, f"{status.st_size} > {limit} bytes")


def _read(fd: int, size: int) -> bytes:
    try:
        # One byte more than expected shows that the file grew; the reader stops there whatever the file does.
        with os.fdopen(fd, "rb", closefd=False) as stream:
            return stream.read(size + 1)
    except OSError as error:
        raise Unavailable(Reason.UNREADABLE, f"the file cannot be read ({error.strerror})") from None


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    first = (before.st_size, before.st_mtime_ns, before.st_ctime_ns)
    return first == (after.st_size, after.st_mtime_ns, after.st_ctime_ns)


# --------------------------------------------------------------------------------------------------------------------
# The version tag of a file, from one `stat`.


RACY_NS = 50_000_000
"""File clocks tick in steps of up to 10 ms: two edits within one step look alike. A file this young is read again."""


def file_version_tag(status: os.stat_result) -> str:
    """Size, modification time, change time and inode of a file.

    The change time cannot be set by programs, so an edit that restores size and modification time is seen. A file that
    changed within the last `RACY_NS` gets a mark that the next listing will not have.
    """
    token = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    return f"{token}:young" if 0 <= age < RACY_NS else token
