"""A verified caller, and the ACL entries it matches."""

from __future__ import annotations

from dataclasses import dataclass

EVERYONE = "everyone"
"""The ACL entry that admits every principal of the document's own tenant."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. Built only by token verification; nothing in a request can widen it."""

    subject: str
    tenant: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """The name of this person or key in the audit log, the same for every way of signing in."""
        return f"{self.tenant}/{self.subject}"

    @property
    def acl_entries(self) -> tuple[str, ...]:
        """The ACL entries this caller matches; any of them grants access to a document."""
        return (EVERYONE, f"user:{self.subject}", *(f"group:{group}" for group in self.groups))
