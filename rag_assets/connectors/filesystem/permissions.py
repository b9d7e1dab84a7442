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

_POSIX_ACL = "system.posix_acl_access"


@dataclass(frozen=True, slots=True)
class Rights:
    """Readers of a file, or those who may enter a folder, by the names `uid:…`, `gid:…` and `everyone`."""

    allowed: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @classmethod
    def of_mode(cls, uid: int, gid: int, mode: int, *, folder: bool) -> Rights:
        """Return the rights that owner, group and mode give. The first class that a process is in decides, so that one
        class can refuse what a later one allows."""
        bit = 0o1 if folder else 0o4
        classes = ((f"uid:{uid}", bit << 6), (f"gid:{gid}", bit << 3), (EVERYONE, bit))
        allowed = {name for name, mask in classes if mode & mask}
        refused = {name for name, mask in classes[:2] if not mode & mask} if allowed else set()
        return cls(frozenset(allowed), frozenset(refused) if _wider(allowed, refused) else frozenset())

    def __and__(self, other: Rights) -> Rights:
        both = {one for one in self.allowed | other.allowed if self._allows(one) and other._allows(one)}
        return Rights(frozenset(both), self.refused | other.refused)

    def _allows(self, name: str) -> bool:
        return name in self.allowed or EVERYONE in self.allowed

    def acl(self, directory: str) -> tuple[str, ...]:
        """Return the ACL of these rights. Raises `InvalidInput` (`ACL_INEXPRESSIBLE`)."""
        allowed = sorted(self.allowed - self.refused)
        names = [*allowed, *(f"deny:{name}" for name in sorted(self.refused))]
        return principals(directory, names) if allowed else (NOBODY,)


def readers(root: str, parts: Sequence[str], directory: str, rules: PathRules) -> tuple[str, ...]:
    """Return the ACL of the file at `parts`. Raises as `safe_open`."""
    rights = []
    for depth in range(len(parts) + 1):
        with closing_fd(safe_open(root, parts[:depth], rules)) as fd:
            rights.append(_rights(fd, folder=depth < len(parts)))
    return reduce(Rights.__and__, rights).acl(directory)


def _rights(fd: int, *, folder: bool) -> Rights:
    if _has_acl(fd):
        return Rights()
    status = os.fstat(fd)
    return Rights.of_mode(status.st_uid, status.st_gid, status.st_mode, folder=folder)


def _wider(allowed: set[str], refused: set[str]) -> bool:
    """Return whether a later class admits somebody whom an earlier one refuses."""
    return EVERYONE in allowed or any(name.startswith("uid:") for name in refused)


def _has_acl(fd: int) -> bool:
    try:
        os.getxattr(fd, _POSIX_ACL)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.ENOTSUP)
    return True
