"""Readers of a file: owner, group and mode of the file and of each folder from the root of the source to it.

A right must hold at every place. What an ACL cannot express is left out and never added: a file with a POSIX ACL, and
one of a folder with one, is readable by nobody.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.filesystem.safe_open import PathRules, closing_fd, safe_open
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import principals
from rag_core.ids import fingerprint

_POSIX_ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class _Rights:
    allowed: frozenset[str]
    refused: frozenset[str] = frozenset()

    def __and__(self, other: _Rights) -> _Rights:
        both = {one for one in self.allowed | other.allowed if self._allows(one) and other._allows(one)}
        return _Rights(frozenset(both), self.refused | other.refused)

    def _allows(self, name: str) -> bool:
        return name in self.allowed or EVERYONE in self.allowed


def readers(root: str, parts: Sequence[str], directory: str, rules: PathRules) -> tuple[str, ...]:
    """Return the ACL of the file at `parts`. Raises as `safe_open`."""
    rights = []
    for depth in range(len(parts) + 1):
        with closing_fd(safe_open(root, parts[:depth], rules)) as fd:
            rights.append(_rights(fd, 0o4 if depth == len(parts) else 0o1))
    found = reduce(_Rights.__and__, rights)
    allowed = sorted(found.allowed - found.refused)
    names = [*allowed, *(f"deny:{name}" for name in sorted(found.refused))]
    return principals(directory, names) if allowed else (NOBODY,)


def with_readers(tag: str, acl: Sequence[str]) -> str:
    """Return a version tag that changes with the ACL too: a folder above a file does not change the file's own."""
    return f"{tag}:{fingerprint(*acl)}"


def _rights(fd: int, bit: int) -> _Rights:
    """Return who may read a file or enter a folder: the first class that a process is in decides, so one can refuse."""
    if _has_acl(fd):
        return _Rights(frozenset())
    status = os.fstat(fd)
    classes = ((f"uid:{status.st_uid}", bit << 6), (f"gid:{status.st_gid}", bit << 3), (EVERYONE, bit))
    allowed = {name for name, mask in classes if status.st_mode & mask}
    refused = {name for name, mask in classes[:2] if not status.st_mode & mask} if allowed else set()
    return _Rights(frozenset(allowed), frozenset(refused) if _wider(allowed, refused) else frozenset())


def _wider(allowed: set[str], refused: set[str]) -> bool:
    """Return whether a later class admits somebody whom an earlier one refuses."""
    return EVERYONE in allowed or any(name.startswith("uid:") for name in refused)


def _has_acl(fd: int) -> bool:
    try:
        os.getxattr(fd, _POSIX_ACL)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True
