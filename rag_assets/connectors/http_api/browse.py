"""Show what an HTTP API answers, with the paths of its lists and of their items' fields, for who adds a source."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, Final

from rag_assets.connectors.http_api.client import ApiClient
from rag_assets.connectors.http_api.options import SampleOptions
from rag_assets.connectors.kind import Offer, Offers
from rag_assets.connectors.outside import ConnectorContext

MAX_DEPTH, MAX_NAMES, MAX_ITEMS, MAX_OFFERS = 4, 60, 20, 200
SAMPLE_CHARS, TEXT_CHARS, SAMPLE_ITEMS = 6000, 120, 2
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IDS: Final = ("id", "uuid", "key", "slug", "_id", "number")
_TITLES: Final = ("title", "name", "subject", "headline", "summary")


def show_answer(options: SampleOptions, context: ConnectorContext) -> Offers:
    """A sample of the first answer, its lists, the fields of the items of one, and which of them fit.

    The list is the one that the options name, else the one with most items. Raises as `ApiClient.page`.
    """
    with closing(ApiClient(options, context.fetch_policy)) as client:
        data = client.page(options.url, options.params).data
    lists = dict(islice(_lists(data), MAX_OFFERS))
    offers = [Offer("list", path, str(len(items))) for path, items in lists.items()]
    place = options.items if options.items in lists else max(lists, key=lambda path: len(lists[path]), default="")
    fields = _fields(lists.get(place, []))
    offers += [Offer("field", path, _line(values[0])) for path, values in islice(fields.items(), MAX_OFFERS)]
    suggested = {"items": place} | _suggested(fields) if place else {}
    return Offers(tuple(offers), sample=_sample(data), suggested=suggested)


def _step(name: str) -> str:
    """A step of a JSON path to the member of this name."""
    if _PLAIN.fullmatch(name):
        return f".{name}"
    return "['{}']".format(name.replace("\\", "\\\\").replace("'", "\\'"))


def _members(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in islice(value.items(), MAX_NAMES):
        if name.isprintable():
            yield f"{path}{_step(name)}", inner


def _lists(value: Any, path: str = "$", depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    """The lists of objects in an answer, by their path."""
    if isinstance(value, list):
        if any(isinstance(item, dict) for item in value):
            yield path, value
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        for inner, member in _members(value, path):
            yield from _lists(member, inner, depth + 1)


def _fields(items: list[Any]) -> dict[str, list[Any]]:
    """The values of the first items, by the path from the item to them."""
    found: dict[str, list[Any]] = defaultdict(list)
    for item in items[:MAX_ITEMS]:
        for path, value in _leaves(item, "$", 0):
            found[path].append(value)
    return found


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        if depth < MAX_DEPTH:
            for inner, member in _members(value, path):
                yield from _leaves(member, inner, depth + 1)
    elif isinstance(value, list):
        # Every entry of a list is taken; its first one says what there is in them.
        yield from _leaves(value[0], f"{path}[*]", depth + 1) if value and depth < MAX_DEPTH else ()
    elif depth:
        yield path, value


def _suggested(fields: Mapping[str, list[Any]]) -> dict[str, str]:
    top = {path.removeprefix("$."): path for path in fields if path.count(".") == 1}
    unique = [path for path, values in fields.items() if _names_items(values) and "[*]" not in path]
    ids = [top[name] for name in _IDS if top.get(name) in unique]
    texts = {path: [value for value in values if isinstance(value, str)] for path, values in fields.items()}
    lengths = {path: sum(map(len, values)) for path, values in texts.items() if values}
    titles = [top[name] for name in _TITLES if name in top]
    # The text is the longest one that is not the title.
    longest = max((path for path in lengths if path not in titles[:1]), key=lengths.__getitem__, default="")
    found = {"fields.id": next(iter([*ids, *unique]), ""), "fields.content": longest,
             "fields.title": next(iter(titles), "")}  # fmt: skip
    return {path: value for path, value in found.items() if value}


def _names_items(values: list[Any]) -> bool:
    """Return whether values can be ids: texts or whole numbers, each once."""
    usable = all(isinstance(value, str | int) and not isinstance(value, bool) for value in values)
    return usable and len(set(values)) == len(values)


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return _printable(text[:TEXT_CHARS].replace("\n", " "))


def _sample(data: Any) -> str:
    text = json.dumps(_shortened(data, 0), indent=2, ensure_ascii=False)
    return "\n".join(map(_printable, text[:SAMPLE_CHARS].split("\n")))


def _shortened(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT_CHARS else f"{value[:TEXT_CHARS]}…"
    if isinstance(value, list | dict) and depth >= 2 * MAX_DEPTH:
        return "…"  # before what is in it: an answer may be nested deeper than functions can call themselves
    if isinstance(value, list):
        return [_shortened(item, depth + 1) for item in value[:SAMPLE_ITEMS]] + ["…"] * (len(value) > SAMPLE_ITEMS)
    if isinstance(value, dict):
        return {str(name): _shortened(member, depth + 1) for name, member in islice(value.items(), MAX_NAMES)}
    return value


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
