"""The value that tells whether a file may have changed, from one `stat`."""

from __future__ import annotations

import os
import time

RACY_NS = 50_000_000
"""File clocks tick in steps of up to 10 ms: two edits within one step look alike. A file this young is read again."""


def file_token(status: os.stat_result) -> str:
    """Size, modification time, change time and inode of a file.

    The change time cannot be set by programs, so an edit that restores size and modification time is seen. A file that
    changed within the last `RACY_NS` gets a mark that the next listing will not have.
    """
    token = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    return f"{token}:young" if 0 <= age < RACY_NS else token
