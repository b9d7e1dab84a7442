"""From an item of the API to a document, by the paths of the options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jsonpath

from rag_assets.connectors.fields import MAX_LOCATOR_BYTES, NOBODY, acl_of
from rag_assets.connectors.http_api.options import AclField, HttpApiOptions
from rag_core.errors import InvalidInput, Reason, Unavailable

MAX_METADATA_CHARS = 4096


@dataclass(frozen=True, slots=True)
class MappedItem:
    """An item as the listing needs it. `content` is `None` when a request of its own brings it."""

    locator: str
    token: str
    updated_at: datetime | None
    deleted: bool
    title: str | None
    content: str | None
    acl: tuple[str, ...] | None
    metadata: dict[str, str] = field(default_factory=dict)


class Mapping:
    """The compiled paths of one source."""

    def __init__(self, options: HttpApiOptions) -> None:
        fields = options.fields
        self._options = options
        self._items = jsonpath.compile(options.items)
        self._total = jsonpath.compile(options.total) if options.total else None
        named = ("id", "content", "title", "version", "updated_at", "deleted")
        self._paths = {name: jsonpath.compile(path) for name in named if (path := getattr(fields, name))}
        self._acl = jsonpath.compile(fields.acl.path) if fields.acl else None
        self._metadata = {name: jsonpath.compile(path) for name, path in fields.metadata.items()}

    def items(self, data: Any) -> list[Any]:
        """The array of items. Raises `Unavailable` (`RESPONSE_INVALID`): an answer without it is not an empty page."""
        found = self._items.findall(data)
        if len(found) != 1 or not isinstance(found[0], list):
            raise Unavailable(Reason.RESPONSE_INVALID, f"the answer has no array at {self._options.items}")
        return found[0]

    def total(self, data: Any) -> int | None:
        """Return the number of all items. Raises `Unavailable` when the answer should say so and does not."""
        if self._total is None:
            return None
        found = self._total.findall(data)
        if len(found) == 1 and isinstance(found[0], int) and not isinstance(found[0], bool) and found[0] >= 0:
            return found[0]
        raise Unavailable(Reason.RESPONSE_INVALID, f"the answer has no number at {self._options.total}")

    def locator(self, item: Any) -> str:
        """Raises `InvalidInput` (`KEY_MISSING`, `ID_CHARS`)."""
        value = self._one("id", item)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise InvalidInput(Reason.KEY_MISSING, f"the item has no text or whole number at {self._options.fields.id}")
        locator = str(value)
        if len(locator.encode("utf-8", "surrogatepass")) > MAX_LOCATOR_BYTES:
            raise InvalidInput(Reason.ID_CHARS, f"the id is longer than {MAX_LOCATOR_BYTES} bytes")
        return locator

    def entry(self, item: Any) -> MappedItem:
        """Raises `InvalidInput` (`KEY_MISSING`, `ID_CHARS`, `RESPONSE_INVALID`)."""
        locator = self.locator(item)
        version = self._one("version", item)
        return MappedItem(
            locator=locator,
            token=digest(item) if version is None else f"v:{_text(version)}"[:512],
            updated_at=moment(self._one("updated_at", item)),
            deleted=self._one("deleted", item) not in (None, False),
            title=_text(self._one("title", item)) or None,
            content=self._content(item) if "content" in self._paths else None,
            acl=self._entries(item),
            metadata={
                name: text[:MAX_METADATA_CHARS]
                for name, path in self._metadata.items()
                if (text := ", ".join(_text(value) for value in _flat(path.findall(item))))
            },
        )

    def text(self, path: str, data: Any) -> str:
        """The text at a path of a single document. Raises `Unavailable` (`RESPONSE_INVALID`)."""
        found = jsonpath.compile(path).findall(data)
        if not found:
            raise Unavailable(Reason.RESPONSE_INVALID, f"the document has nothing at {path}")
        return "\n\n".join(filter(None, (_text(value) for value in _flat(found))))

    def _content(self, item: Any) -> str:
        found = self._paths["content"].findall(item)
        if not found:
            raise InvalidInput(Reason.RESPONSE_INVALID, f"the item has nothing at {self._options.fields.content}")
        return "\n\n".join(filter(None, (_text(value) for value in _flat(found))))

    def _one(self, name: str, item: Any) -> Any:
        path = self._paths.get(name)
        found = path.findall(item) if path is not None else []
        return found[0] if found else None

    def _entries(self, item: Any) -> tuple[str, ...] | None:
        if self._acl is None:
            return None
        found = self._acl.findall(item)
        option = self._options.fields.acl
        if option is None or not found or found == [None]:
            # A path through an empty list finds nothing too, but then the list itself is there.
            return (NOBODY,) if option is not None and _empty_list(option, item) else None
        return tuple(sorted(acl_of(map(_text, _flat(found)), option.prefix)))


def digest(item: Any) -> str:
    """A hash of an item, whatever the order of its keys."""
    text = json.dumps(item, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def moment(value: Any) -> datetime | None:
    """A time: ISO 8601 (without a zone: UTC), or seconds or milliseconds since 1970. `None` for anything else."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _empty_list(option: AclField, item: Any) -> bool:
    container = option.path.removesuffix("[*]").removesuffix(".*")
    return jsonpath.compile(container).findall(item) == [[]]


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
