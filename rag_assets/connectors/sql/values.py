"""From the cells of a row to a document: text, title, metadata, who may see it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rag_assets.connectors.fields import NOBODY, is_acl_entry
from rag_assets.connectors.sql.options import AclColumn
from rag_core.errors import InvalidInput, Reason
from rag_core.ids import fingerprint
from rag_core.logging import get_logger

log = get_logger(__name__)

SMALL_CELL_BYTES = 65_536
"""Largest title, metadata value or ACL."""
_KINDS = ("user:", "group:")


def joined(cells: Sequence[object]) -> bytes:
    """The content of a row: text cells joined by an empty line, or the bytes of a single binary cell."""
    if len(cells) == 1 and isinstance(cells[0], bytes | bytearray | memoryview):
        return bytes(cells[0])
    return "\n\n".join(text for cell in cells if (text := plain(cell))).encode("utf-8", "replace")


def plain(cell: object) -> str:
    """A cell as text; null is the empty text."""
    if cell is None:
        return ""
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).decode("utf-8", "replace")
    return str(cell)


def small(name: str, cell: object, size: object) -> object:
    """A cell that must be small. Raises `InvalidInput` (`CELL_TOO_LARGE`)."""
    if isinstance(size, int) and size > SMALL_CELL_BYTES:
        message = f"column {name[:64]!r}: {size} > {SMALL_CELL_BYTES} bytes"
        raise InvalidInput(Reason.CELL_TOO_LARGE, message)
    return cell


def acl_entries(cell: object, options: AclColumn, locator: str) -> tuple[str, ...] | None:
    """Who may see the row; `None` when the cell is null, so that what was known before goes on.

    An entry that is none is left out, because it can admit no one; a list without any left admits nobody.
    """
    if cell is None:
        return None
    named = [f"{options.prefix or ''}{name}" if _bare(name) else name for name in _split(plain(cell), options)]
    entries = tuple(dict.fromkeys(name for name in named if is_acl_entry(name)))
    if len(entries) < len(set(named)):
        log.warning("acl_entries_ignored", document=fingerprint(locator), ignored=len(set(named)) - len(entries))
    return entries or (NOBODY,)


def _bare(name: str) -> bool:
    return name != "everyone" and not name.startswith(_KINDS)


def _split(value: str, options: AclColumn) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        return [item if isinstance(item, str) else "" for item in found]
    return [item.strip() for item in value.split(options.separator) if item.strip()]
