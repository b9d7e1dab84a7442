"""Replace small files atomically, and open what a path leads to once it was accepted."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from rag_core.platform import OPEN_PATH


def replace_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace a file by a rename: a reader, also after a power cut, finds the complete old or new content.

    Raises `OSError`; the old file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames, creations and removals in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_STEP = OPEN_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Accept = Callable[[Path], None]
"""Raises for a resolved path that must not be opened."""


def open_resolved(path: str | Path, flags: int, accept: Accept) -> int:
    """Open what a path leads to now, once `accept` has seen where that is; the caller closes it.

    The links are followed first, and the result is opened from `/` on without following any: a folder or file that
    becomes a link in between is refused (`ELOOP`, `ENOTDIR`). Raises `OSError`, and what `accept` raises.
    """
    try:
        resolved = Path(path).resolve(strict=True)
    except RuntimeError:  # up to Python 3.12 a loop of links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    accept(resolved)
    fd = os.open("/", _STEP)
    parts = resolved.parts[1:]
    for number, name in enumerate(parts or (".",), start=1):
        last = number >= len(parts)
        try:
            following = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC if last else _STEP, dir_fd=fd)
        finally:
            os.close(fd)
        fd = following
    if stat.S_ISLNK(os.fstat(fd).st_mode):  # `OPEN_PATH` opens the link itself
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return fd


def update_file(path: Path, text: str) -> bool:
    """Bring a file to this content by rename. Returns whether it changed."""
    if path.exists() and path.read_text("utf-8") == text:
        return False
    replace_file(path, text.encode())
    return True
