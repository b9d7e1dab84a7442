"""Entries of ACLs, and which callers an ACL admits. `rag_core.retrieval.index.scope` and
the database function `rag.admits` say the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

EVERYONE: Final = "everyone"
"""The ACL entry that admits every principal of the document's own tenant."""
DENY: Final = "deny:"
"""Begins an entry that refuses those it names, whatever else admits them."""
ACL_PATTERN: Final = r"^(deny:)?(everyone|((user|group):|[a-z][a-z0-9_-]{0,62}/)[^\x00-\x20\x7f]{1,256})$"
"""The last form names a reader as a source does, for a directory to resolve: `corp/gid:100`."""
_ENTRY: Final = re.compile(ACL_PATTERN)


def is_acl_entry(text: str) -> bool:
    """Return whether this is a valid ACL entry."""
    return _ENTRY.fullmatch(text) is not None


def is_source_name(entry: str) -> bool:
    """Return whether an ACL entry names a reader as a source does (`corp/gid:100`)."""
    return "/" in entry.removeprefix(DENY).partition(":")[0]


def denials(entries: Iterable[str]) -> list[str]:
    """Return the ACL entries that refuse a caller with these entries. Those that begin with `DENY` do so themselves."""
    return [entry if entry.startswith(DENY) else f"{DENY}{entry}" for entry in entries]


def without_refused(acl: Iterable[str]) -> tuple[str, ...]:
    """Return an ACL without the entries that it refuses itself, so that what is left admits somebody or nobody."""
    named = tuple(dict.fromkeys(acl))
    refused = {entry.removeprefix(DENY) for entry in named if entry.startswith(DENY)}
    return tuple(entry for entry in named if entry.startswith(DENY) or refused.isdisjoint((entry, EVERYONE)))


def admits(acl: Collection[str] | None, entries: Collection[str]) -> bool:
    """Return whether an ACL admits a caller with these entries; an unknown one admits nobody."""
    named = set(acl or ())
    return not named.isdisjoint(entries) and named.isdisjoint(denials(entries))
