"""Security descriptors of Windows as bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

READ = 0x0012_0089
PASS = 0x0010_0020
Ace = tuple[int, int, int, str]
"""Type (0 admits, 1 refuses), flags, mask and SID of an entry."""


def sid(text: str) -> bytes:
    _, revision, authority, *parts = text.split("-")
    head = struct.pack("BB", int(revision), len(parts)) + int(authority).to_bytes(6, "big")
    return head + b"".join(int(part).to_bytes(4, "little") for part in parts)


def descriptor(aces: Sequence[Ace] | None, owner: str = "S-1-5-21-1-2-3-500", control: int = 0x9004) -> bytes:
    """A descriptor with an owner and these entries; `None`: without a list of entries."""
    if aces is None:
        return struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 0, 0, 0) + sid(owner)
    entries = b""
    for kind, flags, mask, name in aces:
        raw = sid(name) if kind in (0, 1) else struct.pack("<I", 0) + sid(name)
        entries += struct.pack("<BBHI", kind, flags, 8 + len(raw), mask) + raw
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), len(aces), 0) + entries
    named = sid(owner)
    return struct.pack("<BBHIIII", 1, 0, control, 20, 0, 0, 20 + len(named)) + named + acl
