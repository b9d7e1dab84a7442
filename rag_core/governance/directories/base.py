"""Entries of a directory, and what a caller gets from them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.governance.access import DENY, Principal, is_acl_entry

MAX_REACHED: Final = 2_000
"""ACL entries that a caller may get from directories. One with more is refused: leaving some out would show what others
of them refuse."""
DIRECTORY_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def normal_name(name: str) -> str:
    """Return the one spelling of what a source calls a person or group.

    Mail addresses are compared without case and in one Unicode form; other names exactly as they are.
    """
    kind, colon, rest = name.partition(":")
    return f"{kind}{colon}{unicodedata.normalize('NFC', rest).lower()}" if kind == "email" else name


def principals(directory: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the ACL entries of a document for what its source calls the readers, `deny:` before those it refuses.

    `everyone` stays as it is. Names that no ACL can hold grant nothing; one that refuses raises `InvalidInput`
    (`ACL_INEXPRESSIBLE`), because leaving it out would show the document to those it refuses.
    """
    found = []
    for name in names:
        mark = DENY if name.startswith(DENY) else ""
        plain = name.removeprefix(DENY)
        entry = f"{mark}{plain}" if plain == "everyone" else f"{mark}{directory}/{normal_name(plain)}"
        if is_acl_entry(entry):
            found.append(entry)
        elif mark:
            raise InvalidInput(Reason.ACL_INEXPRESSIBLE, "a permission that refuses somebody fits in no ACL")
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A person (`user:SUBJECT`) or a group (`group:NAME`) as tokens name it. Raises `InvalidInput` (`FIELD_INVALID`).

    `names` are what sources call it. `members` are entries; `None`: those whose tokens name the group.
    """

    entry: str
    names: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None
    active: bool = True

    def __post_init__(self) -> None:
        for one in (self.entry, *(self.members or ())):
            if not is_acl_entry(one) or not one.startswith(("user:", "group:")):
                raise InvalidInput(Reason.FIELD_INVALID, f"{one[:64]!r}: must be user:SUBJECT or group:NAME")
        if self.entry.startswith("user:") and self.members is not None:
            raise InvalidInput(Reason.FIELD_INVALID, f"{self.entry[:64]!r}: a person has no members")

    @property
    def by_token(self) -> bool:
        return self.members is None and self.entry.startswith("group:")


class SubjectAttribute(StrEnum):
    """Attributes of SCIM that can be the subject of tokens."""

    USER_NAME = "userName"
    EXTERNAL_ID = "externalId"
    EMAILS = "emails"


@dataclass(frozen=True, slots=True)
class PushedEntry:
    """A person (`kind` is `user`) or a group as an identity provider pushes it; `attributes` is its JSON object."""

    kind: str
    name: str
    attributes: str
    external_id: str = ""
    emails: tuple[str, ...] = ()
    active: bool = True

    def directory_entry(self, subject: SubjectAttribute) -> DirectoryEntry:
        """The entry it becomes; spaces in the name of a group become `_`. Raises `InvalidInput` (`FIELD_INVALID`)."""
        outside = [f"external:{self.external_id}"] if self.external_id else []
        names = tuple(dict.fromkeys([*outside, *(normal_name(f"email:{one}") for one in self.emails)]))
        if self.kind == "group":
            return DirectoryEntry(f"group:{'_'.join(self.name.split())}", names, ())
        by = {
            SubjectAttribute.USER_NAME: self.name,
            SubjectAttribute.EXTERNAL_ID: self.external_id,
            SubjectAttribute.EMAILS: "".join(self.emails[:1]),
        }
        if not by[subject]:
            raise InvalidInput(Reason.FIELD_INVALID, f"entry: {subject} is missing, and is the subject of tokens here")
        return DirectoryEntry(f"user:{by[subject]}", names, active=self.active)


@dataclass(frozen=True, slots=True)
class MemberChange:
    """Ids of members to add to a group, and to remove; `replace`: all that are not added."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResource(PushedEntry):
    """A pushed entry as it is stored. `members` are id, kind and name of each."""

    id: str
    entry: str
    version: int
    created_at: datetime
    changed_at: datetime
    members: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DirectoryStatus:
    """The contents of a directory, and what its last reading would remove and was held for."""

    tenant: str
    name: str
    kind: str
    synced_at: datetime
    people: int
    groups: int
    memberships: int
    held_removals: int | None
    held_at: datetime | None
    unknown_principals: int
    """Names in ACLs of documents that the directory does not know: they grant nothing, and refuse everybody."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """Changed rows of a directory; `held`: removals that wait for an operator, and nothing was changed."""

    changed: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class GroupMembership:
    """An ACL entry that a caller gets from a directory, the way to it, and since when.

    An entry that begins with `deny:` and has no way refuses every caller: no directory knows the name.
    """

    entry: str
    directory: str
    way: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Resolved:
    """The statement of a tenant's directories on a caller: whether they may do anything, the groups that count, and
    what they get in addition."""

    active: bool = True
    groups: tuple[str, ...] = ()
    memberships: tuple[GroupMembership, ...] = field(default=())

    def apply(self, principal: Principal) -> Principal:
        """Return the caller with the entries that count. Raises `PermissionDenied` (`PERSON_DISABLED`)."""
        if not self.active:
            raise PermissionDenied(Reason.PERSON_DISABLED, "a directory says that this person is disabled")
        entries = tuple(dict.fromkeys(one.entry for one in self.memberships))
        return replace(principal, groups=self.groups, directory_entries=entries)
