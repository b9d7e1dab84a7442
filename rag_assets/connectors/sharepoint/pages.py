"""The HTML of a page of a SharePoint site: what is in its web parts, section by section.

https://learn.microsoft.com/graph/api/resources/canvaslayout, .../textwebpart and .../standardwebpart
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Part = Mapping[str, Any]


def page_html(page: Part) -> str:
    """Return the texts of a page, without its title."""
    layout = page.get("canvasLayout") or {}
    parts = [text for part in _parts(layout) for text in _texts(part)]
    about = page.get("description")
    return "\n".join([f"<p>{escape(about)}</p>" if about else "", *parts]).strip()


def _parts(layout: Part) -> Iterator[Part]:
    for section in layout.get("horizontalSections") or ():
        for column in section.get("columns") or ():
            yield from column.get("webparts") or ()
    yield from (layout.get("verticalSection") or {}).get("webparts") or ()


def _texts(part: Part) -> Iterator[str]:
    """Text parts have HTML, others what SharePoint itself searches: plain texts and HTML, each with a key."""
    if part.get("innerHtml"):
        yield str(part["innerHtml"])
    data = part.get("data") or {}
    said = data.get("serverProcessedContent") or {}
    yield from (f"<p>{escape(str(one['value']))}</p>" for one in said.get("searchablePlainTexts") or ())
    yield from (str(one["value"]) for one in said.get("htmlStrings") or ())
