"""Readers of an item in a drive, by the permissions that Microsoft Graph lists for it.

https://learn.microsoft.com/graph/api/resources/permission and .../sharepointidentityset
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from rag_assets.connectors.fields import NOBODY
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import principals

Grant = list[Any]
"""A name, and the time in seconds until which it may read; 0: without an end. As JSON in the source's memory."""
_READING: Final = frozenset({"read", "write", "owner"})
_EVERYBODY: Final = "c:0(.s|true"
_ORGANIZATION: Final = "c:0-.f|rolemanager|spo-grid-all-users/"
_PERSON: Final = re.compile(r"i:0#\.f\|membership\|([^|\s]+@[^|\s]+)", re.IGNORECASE)
_GROUP: Final = re.compile(r"c:0(?:t\.c\|tenant|o\.c\|federateddirectoryclaimprovider)\|([0-9a-f-]{36})", re.IGNORECASE)
"""A group of Entra ID. The same with `_o` at its end means its owners alone, whom no directory knows."""


def grants(permissions: Iterable[Mapping[str, Any]], site: str) -> list[Grant]:
    """Return who may read an item of a site. What is not known to let somebody read lets nobody."""
    return sorted([name, _until(one)] for one in permissions for name in set(_names(one, site)))


def acl_of(granted: Iterable[Grant], directory: str, now: float) -> tuple[str, ...]:
    """Return the ACL of the grants that have not ended."""
    return principals(directory, sorted({name for name, until in granted if not until or until > now})) or (NOBODY,)


def _names(permission: Mapping[str, Any], site: str) -> Iterator[str]:
    if _READING.isdisjoint(permission.get("roles") or ()) or permission.get("hasPassword"):
        return
    link = permission.get("link")
    if link is None:
        yield from _identity(permission.get("grantedToV2") or {}, site)
        return
    if link.get("scope") in ("anonymous", "organization"):
        yield f"link:{link['scope']}"
    for identity in permission.get("grantedToIdentitiesV2") or ():
        yield from _identity(identity, site)


def _identity(identity: Mapping[str, Any], site: str) -> Iterator[str]:
    login = str((identity.get("siteUser") or {}).get("loginName") or "")
    user, group = identity.get("user") or {}, identity.get("group") or {}
    site_group, shared_group = identity.get("siteGroup") or {}, identity.get("sharePointGroup") or {}
    if login == _EVERYBODY:
        yield EVERYONE
    elif login.startswith(_ORGANIZATION):
        yield "organization:everyone"
    elif found := _GROUP.fullmatch(login):
        yield f"external:{found[1].lower()}"
    elif login.lower().startswith("c:"):  # a claim of another kind, whatever is beside it
        return
    elif group.get("id"):
        yield f"external:{str(group['id']).lower()}"
    elif email := user.get("email") or (found[1] if (found := _PERSON.fullmatch(login)) else ""):
        yield f"email:{email}"
    elif user.get("id"):
        yield f"external:{str(user['id']).lower()}"
    if site_group.get("id"):
        yield f"site-group:{site}/{site_group['id']}"
    if shared_group.get("id"):
        yield f"site-group:{shared_group['id']}"


def _until(permission: Mapping[str, Any]) -> float:
    ends = permission.get("expirationDateTime")
    found = datetime.fromisoformat(ends) if ends else None
    return found.timestamp() if found and found.year > 1 else 0
