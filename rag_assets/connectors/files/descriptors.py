"""Security descriptors of Windows (MS-DTYP 2.4): who may read a file, or pass through a folder.

Entries are taken in their order, as a server does: the first that names a right decides. What no ACL can express is
left out where it admits, and kept where it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rag_assets.connectors.filesystem.permissions import Rights
from rag_core.governance.access import EVERYONE

READ_DATA: Final = 0x0000_0001
TRAVERSE: Final = 0x0000_0020
_GENERIC: Final = {READ_DATA: 0x9000_0000, TRAVERSE: 0x3000_0000}
"""Generic rights (read or execute, and all) that have a right in them."""
_PRESENT: Final = 0x0004
_INHERIT_ONLY: Final = 0x08
_ALLOWS: Final = {0x00}
_REFUSES: Final = {0x01: 8, 0x06: 0, 0x0A: 8, 0x0C: 0}
"""Types of entries that refuse, with the place of their SID; 0: behind optional fields, so that it is not read."""
_EVERYBODY: Final = {"S-1-1-0", "S-1-5-2", "S-1-5-11", "S-1-5-15"}
"""Everyone, those who come by the network, those who signed in, and those of this organisation: all callers are."""
_OWNER: Final = "S-1-3-4"


def sid_text(raw: bytes) -> str:
    """Return a security identifier as `S-1-5-21-…`; empty for bytes that are none."""
    if len(raw) < 8 or len(raw) < 8 + 4 * raw[1]:
        return ""
    parts = (int.from_bytes(raw[8 + 4 * number : 12 + 4 * number], "little") for number in range(raw[1]))
    return "-".join(map(str, ("S", raw[0], int.from_bytes(raw[2:8], "big"), *parts)))


def principal(sid: str) -> str:
    """Return the name that directories have for a SID: `sid:…`, or `uid:…` and `gid:…` for those of Samba's accounts
    of Unix."""
    for prefix, kind in (("S-1-22-1-", "uid"), ("S-1-22-2-", "gid")):
        if sid.startswith(prefix):
            return f"{kind}:{sid.removeprefix(prefix)}"
    return EVERYONE if sid in _EVERYBODY or sid == EVERYONE else f"sid:{sid}"


def rights(descriptor: bytes, right: int) -> Rights:
    """Return who has a right by a descriptor. Without a list of entries, or with one that cannot be read: nobody."""
    allowed, refused = set[str](), set[str]()
    for kind, mask, sid in _entries(descriptor):
        name = principal(sid)
        if not mask & (right | _GENERIC[right]) or name in allowed | refused or EVERYONE in allowed:
            continue
        if kind in _ALLOWS and sid:
            allowed.add(name)
        elif kind in _REFUSES and not sid:
            return Rights()
        elif kind in _REFUSES and name == EVERYONE:
            break
        elif kind in _REFUSES:
            refused.add(name)
    return Rights(frozenset(allowed), frozenset(refused))


def _entries(raw: bytes) -> Iterator[tuple[int, int, str]]:
    """Type, mask and SID of each entry that applies to the object itself. An entry that breaks off ends in one that
    refuses everybody."""
    if len(raw) < 20 or not int.from_bytes(raw[2:4], "little") & _PRESENT:
        return
    owner, start = (int.from_bytes(raw[at : at + 4], "little") for at in (4, 16))
    at = start + 8
    for _ in range(int.from_bytes(raw[start + 4 : start + 6], "little") if start else 0):
        size = int.from_bytes(raw[at + 2 : at + 4], "little")
        entry, at = raw[at : at + size], at + size
        if size < 16 or len(entry) < size:
            yield 0x01, -1, "S-1-1-0"
            return
        kind, flags, mask = entry[0], entry[1], int.from_bytes(entry[4:8], "little")
        sid = sid_text(entry[8:]) if kind in _ALLOWS or _REFUSES.get(kind) else ""
        if sid == _OWNER and owner and kind in _REFUSES:
            sid = sid_text(raw[owner:])
        if not flags & _INHERIT_ONLY:
            yield kind, mask, sid
