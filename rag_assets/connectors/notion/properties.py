"""Properties of a page of Notion as text.

https://developers.notion.com/reference/page-property-values
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Value = Mapping[str, Any]


def title_of(page: Value) -> str:
    """Return the title of a page."""
    return next((text_of(one) for one in page["properties"].values() if one["type"] == "title"), "")


def lines_of(page: Value) -> list[str]:
    """Return a line of Markdown for each property with a value, without the title."""
    found = ((name, text_of(value)) for name, value in page["properties"].items() if value["type"] != "title")
    return [f"- {name}: {text}" for name, text in found if text]


def files_of(page: Value) -> Iterator[tuple[str, str]]:
    """Name and link of each file that Notion keeps for a property. Links to other hosts are no files of Notion."""
    for value in page["properties"].values():
        for one in value["files"] if value["type"] == "files" else ():
            if one.get("type") == "file":
                yield one["name"], one["file"]["url"]


def text_of(value: Any) -> str:
    """Return the text of a property's value, of whatever type; empty when it has none or is not text."""
    if value is None or isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list):
        together = "" if value and "plain_text" in value[0] else ", "
        return together.join(text for one in value if (text := text_of(one)))
    if "plain_text" in value:
        return str(value["plain_text"])
    if "start" in value:
        return " to ".join(value[end] for end in ("start", "end") if value.get(end))
    if "number" in value and "prefix" in value:
        return f"{value['prefix']}-{value['number']}" if value["prefix"] else str(value["number"])
    kind = value.get("type")
    if kind in ("relation", "verification", "button"):
        return ""  # ids of other pages, and what is no content
    if kind in value and kind not in ("person", "bot", "file", "external"):
        return text_of(value[kind])
    return str(value.get("name") or "")
