"""The short private folder of a RAG_HOME for Unix sockets."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from rag_core.errors import Conflict, Reason

# A Unix socket's address holds about a hundred bytes, and RAG_HOME may be longer; so sockets live here.
_ROOT = Path("/tmp")  # noqa: S108


def runtime_folder(home: Path) -> Path:
    """The same for every process of this user and home."""
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]
    return _ROOT / f"rag-{os.geteuid()}-{digest}"


def create_private(folder: Path) -> None:
    """Make a folder below one that everyone may write to. Raises `Conflict` (`HOME_IN_USE`) when it is not ours."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    # Anyone may create names in /tmp: a link or a foreign folder here would hand our control socket to its owner.
    if folder.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Conflict(Reason.HOME_IN_USE, f"{folder} exists and is not private to this user; remove it")
