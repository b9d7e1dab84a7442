"""Keys as locators and back. Every locator can be stored, shown and turned back into the exact key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from rag_core.errors import InvalidInput, Reason

MAX_BYTES = 2048
# What separates, what escapes, and what does not show or changes the direction of what follows.
_ESCAPED = re.compile("[%/\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def encode(values: Sequence[object]) -> str:
    """The locator of a key of one or several columns. Raises `InvalidInput` (`VALUE_INVALID`, `KEY_MISSING`)."""
    parts = []
    for value in values:
        if value is None or value == "":
            raise InvalidInput(Reason.KEY_MISSING, "the key of the row is null or empty")
        if isinstance(value, bytes):
            raise InvalidInput(Reason.VALUE_INVALID, "the key of the row is binary")
        parts.append(_ESCAPED.sub(_escape, str(value)))
    locator = "/".join(parts)
    if len(locator.encode()) > MAX_BYTES:
        raise InvalidInput(Reason.VALUE_INVALID, f"the key of the row is longer than {MAX_BYTES} bytes")
    return locator


def decode(locator: str, columns: int) -> list[str]:
    """The texts of the key's columns. Raises `InvalidInput` (`VALUE_INVALID`) when it is no locator of this source."""
    parts = locator.split("/")
    if len(parts) != columns or not all(parts):
        raise InvalidInput(Reason.VALUE_INVALID, "the locator does not fit the key of the source")
    return [unquote_to_bytes(part).decode("utf-8", "surrogatepass") for part in parts]


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))
