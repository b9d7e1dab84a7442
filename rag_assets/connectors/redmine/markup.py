"""Textile as Redmine's wiki and issues have it, as Markdown: what makes the structure of a text."""

from __future__ import annotations

import re
from typing import Final

_HEADING: Final = re.compile(r"^h([1-6])(?:\([^()\n]{0,100}\))?\. +", re.MULTILINE)
_ITEM: Final = re.compile(r"^([*#]{1,9}) +", re.MULTILINE)
_QUOTE: Final = re.compile(r"^bq\. +", re.MULTILINE)
_LINK: Final = re.compile(r'"([^"\n]{1,500})":(https?://[^\s<>"]{1,2000})')
_PAGE: Final = re.compile(r"\[\[(?:[^\[\]|\n]{1,300}\|)?([^\[\]|\n]{1,300})\]\]")
_TAGS: Final = re.compile(r"</?code(?: class=\"[^\"\n]{0,100}\")?>")


def markdown(text: str, markup: str) -> str:
    """Return a text as Markdown; links to pages become their names."""
    first, *rest = text.replace("\r\n", "\n").split("<pre>")
    found = [_converted(first, markup)]
    for part in rest:
        code, _, after = part.partition("</pre>")
        found += ["\n```\n", _TAGS.sub("", code).strip("\n"), "\n```\n", _converted(after, markup) if after else ""]
    return "".join(found)


def _converted(part: str, markup: str) -> str:
    part = _PAGE.sub(lambda found: found[1], part)
    if markup != "textile":
        return part
    part = _ITEM.sub(lambda found: "   " * (len(found[1]) - 1) + ("1. " if found[1][-1] == "#" else "- "), part)
    part = _HEADING.sub(lambda found: "#" * int(found[1]) + " ", part)
    return _LINK.sub(lambda found: f"[{found[1]}]({found[2]})", _QUOTE.sub("> ", part))
