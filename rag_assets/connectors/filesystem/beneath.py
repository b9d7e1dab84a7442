"""Opening what lies below a folder, and only that.

Every step opens one name relative to an open folder and refuses links, so nothing that is renamed or replaced while we
work can lead outside. Handles are non-blocking, so that a pipe cannot hang us.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rag_core.errors import ConfigError, InvalidInput, NotFound, RagError, Reason, Unavailable

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


def open_root(root: str) -> int:
    """Open the root, which itself may be a link (the operator chose it). Raises `Unavailable` (`UNREADABLE`)."""
    try:
        return os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        raise Unavailable(Reason.UNREADABLE, f"the root folder cannot be opened ({error.strerror})") from None


def open_folder(name: str, parent: int) -> int:
    """Open a subfolder. Raises `OSError`."""
    return os.open(name, _FOLDER, dir_fd=parent)


def require_apart(root: str, home: Path) -> None:
    """Refuse a root that holds RAG_HOME or lies in it: its secrets, logs and database are no documents.

    The corpus that `rag up` makes of installed packages stands there too, in a folder of its own. Raises `ConfigError`
    (`PATH_OUTSIDE_ROOT`).
    """
    wanted, own = Path(root).resolve(), home.resolve()
    inside = wanted.is_relative_to(own) and not wanted.is_relative_to(own / CORPUS)
    if inside or own.is_relative_to(wanted):
        message = "root: holds RAG_HOME or lies in it; choose a folder apart from the installation's own state"
        raise ConfigError(Reason.PATH_OUTSIDE_ROOT, message)


def open_beneath(root: str, parts: Sequence[str]) -> int:
    """Open `root/parts` through real folders only; the caller closes it.

    Raises `InvalidInput` (`SYMLINK_ESCAPE`, `NOT_A_REGULAR_FILE`), `NotFound` (`VANISHED`) or `Unavailable`
    (`UNREADABLE`).
    """
    fd = open_root(root)
    for index, name in enumerate(parts):
        flags = _FILE if index == len(parts) - 1 else _FOLDER
        with closing_fd(fd):
            try:
                fd = os.open(name, flags, dir_fd=fd)
            except OSError as error:
                raise _explain(error, is_link=_is_link(name, fd)) from None
    return fd


def real_parts(root: str, parts: Sequence[str]) -> tuple[str, ...]:
    """Resolve every link in `root/parts` and return the parts below the resolved root.

    Raises `InvalidInput` (`SYMLINK_ESCAPE`) when the target lies outside or the links form a loop. The result is only a
    claim about this moment: open it with `open_beneath`, which follows nothing.
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
