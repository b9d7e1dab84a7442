"""Reading one file whole, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from rag_assets.connectors.filesystem.beneath import closing_fd, open_beneath
from rag_core.errors import InvalidInput, Reason, Unavailable

ATTEMPTS = 3


def read_stable(root: str, parts: Sequence[str], *, limit: int, refuse_links: bool) -> tuple[bytes, os.stat_result]:
    """Bytes of a regular file that did not change while they were read, and its status.

    Raises `InvalidInput` (`NOT_A_REGULAR_FILE`, `FILE_TOO_LARGE`, `SYMLINK_ESCAPE`), `NotFound` (`VANISHED`),
    `Unavailable` (`UNREADABLE`, `CHANGED_WHILE_READING` after three attempts).
    """
    for _ in range(ATTEMPTS):
        with closing_fd(open_beneath(root, parts)) as fd:
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
