"""File names as locators: always storable text, always reversible to the exact bytes of the name."""

from __future__ import annotations

import hashlib
import os
import re

from rag_core.errors import InvalidInput, Reason

MAX_LOCATOR_BYTES = 2048
"""PostgreSQL's unique index refuses keys much above this."""

# Bytes that are not UTF-8 (surrogates), controls, line separators, zero-width and bidirectional overrides: they cannot
# be stored or would make one name look like another. `%` only where it would read as an escape.
_UNSAFE = re.compile(
    "[\udc80-\udcff\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|%(?=[0-9A-Fa-f]{2})"
)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_FOREIGN_ROOT = re.compile(r"~/|~$|[A-Za-z]:[\\/]|\\\\")
"""Roots of other systems and shells; nothing here would expand them, but no honest locator begins so."""


def encode(path: str) -> str:
    """Locator of a path relative to the root, as `os` returns it (undecodable bytes as surrogates)."""
    if path.isascii() and path.isprintable() and "%" not in path:  # nearly all, and much cheaper to see
        return path
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in os.fsencode(match[0])), path)


def decode(locator: str) -> tuple[str, ...]:
    """Segments of the path a locator stands for.

    Raises `InvalidInput` (`PATH_OUTSIDE_ROOT`) for anything that is not a plain relative path: absolute, `..`, `~`, a
    drive letter, an empty segment, NUL.
    """
    try:
        raw = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), locator.encode("utf-8"))
    except UnicodeEncodeError:
        raise _outside() from None
    parts = tuple(os.fsdecode(raw).split("/"))
    if b"\x00" in raw or _FOREIGN_ROOT.match(locator) or any(part in ("", ".", "..") for part in parts):
        raise _outside()
    return parts


def is_too_long(locator: str) -> bool:
    """Whether a locator cannot be stored."""
    return len(locator) * 4 > MAX_LOCATOR_BYTES and len(locator.encode("utf-8")) > MAX_LOCATOR_BYTES


def shorten(locator: str) -> str:
    """A storable stand-in for a locator that is too long, still unique: its beginning and a hash of all of it."""
    digest = hashlib.sha256(locator.encode("utf-8")).hexdigest()[:32]
    return f"{locator.encode('utf-8')[: MAX_LOCATOR_BYTES // 2].decode('utf-8', 'ignore')}~{digest}"


def _outside() -> InvalidInput:
    return InvalidInput(Reason.PATH_OUTSIDE_ROOT, "the locator is not a path below the source's root")
