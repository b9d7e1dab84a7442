"""Readers of a source's documents, from the users and nested groups that the source knows.

A source says that a document is for `ann@acme.example` and for its group `writers`. Tokens name users, and the groups
of the identity provider. `Membership` turns the first into the second: a group that the provider has too stays a
group (`same_groups`), every other is replaced by the users in it, through all groups within it.

It fails closed: an unknown group admits nobody, and without a list of groups that is young enough nothing is mapped,
so that a document is not read rather than read with yesterday's readers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rag_assets.connectors.fields import NOBODY
from rag_core.content.sources import SourceMemory
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.governance.access import is_acl_entry
from rag_core.ids import fingerprint
from rag_core.logging import get_logger

log = get_logger(__name__)
MAX_READERS: Final = 5_000
"""Entries in the ACL of one document. A larger group belongs in the identity provider (`same_groups`)."""
MAX_GROUPS: Final = 50_000
_MEMORY: Final = "membership of groups"
"""Key of the list in the memory of a source; no locator of a document is that of a sentence."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of the source: its users as tokens name them, and the ids of the groups within it."""

    id: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(slots=True)
class Membership:
    """The groups of one source. `read` lists all of them; it is called when the list in `memory` is older than
    `refresh_seconds`, and a list older than `most_seconds` is not used. Used from one thread."""

    read: Callable[[], Iterable[Group]]
    memory: SourceMemory
    same_groups: Mapping[str, str] = field(default_factory=dict)
    refresh_seconds: float = 900
    most_seconds: float = 7200
    clock: Callable[[], float] = time.time
    _groups: dict[str, Group] | None = None
    _read_at: float = 0.0

    def acl(self, users: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
        """The ACL of a document for these users and groups of the source.

        Raises `Unavailable` (`SOURCE_UNAVAILABLE`) when the groups cannot be listed and the last list is too old, and
        `InvalidInput` (`VALUE_INVALID`) when a document has more than `MAX_READERS` readers.
        """
        wanted = list(groups)
        known = self._current() if wanted else {}
        entries = {f"user:{user}" for user in users}
        seen: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name in seen:
                continue  # groups may contain each other
            seen.add(name)
            if name in self.same_groups:
                entries.add(f"group:{self.same_groups[name]}")
                continue
            group = known.get(name)
            if group is None:
                continue
            entries.update(f"user:{user}" for user in group.users)
            wanted += group.groups
            if len(entries) > MAX_READERS:
                message = f"more than {MAX_READERS} readers; map their group to one of the identity provider"
                raise InvalidInput(Reason.VALUE_INVALID, message)
        usable = tuple(sorted(entry for entry in entries if is_acl_entry(entry)))
        return usable or (NOBODY,)

    def tag(self, users: Iterable[str], groups: Iterable[str]) -> str:
        """Changes when the ACL of these users and groups does: part of the version tag of an item. Raises as `acl`."""
        return fingerprint(*self.acl(users, groups))

    def version_tag(self) -> str:
        """Changes when any group does: a part of the version tag of the source, so that its sensor sees that somebody
        joined or left. Raises `Unavailable` as `acl`."""
        groups = self._current()
        return fingerprint(*(f"{name}\x1f{groups[name].users}\x1f{groups[name].groups}" for name in sorted(groups)))

    def _current(self) -> dict[str, Group]:
        """The list, read again when it is due."""
        if self._groups is None:
            self._restore()
        age = self.clock() - self._read_at
        if self._groups is None or age >= self.refresh_seconds:
            try:
                self._refresh()
            except RagError as error:
                if self._groups is None or age >= self.most_seconds:
                    message = (
                        f"the groups of the source cannot be listed ({error.reason}); nothing is read without them"
                    )
                    raise Unavailable(Reason.SOURCE_UNAVAILABLE, message) from None
                log.warning("groups_not_refreshed", reason=error.reason, seconds=round(age))
        assert self._groups is not None  # noqa: S101
        return self._groups

    def _refresh(self) -> None:
        began, groups = self.clock(), dict[str, Group]()
        for group in self.read():
            groups[group.id] = group
            if len(groups) > MAX_GROUPS:
                raise InvalidInput(Reason.VALUE_INVALID, f"the source has more than {MAX_GROUPS} groups")
        self._groups, self._read_at = groups, began
        rows = [[group.id, list(group.users), list(group.groups)] for group in groups.values()]
        self.memory.put({_MEMORY: {"read_at": began, "groups": rows}})

    def _restore(self) -> None:
        kept: dict[str, Any] | None = self.memory.get(_MEMORY)
        if kept is None:
            return
        rows: Sequence[Any] = kept["groups"]
        self._groups = {row[0]: Group(row[0], tuple(row[1]), tuple(row[2])) for row in rows}
        self._read_at = float(kept["read_at"])
