"""Notion's Markdown as Markdown: it has a block on each line, tabs before what is nested, tags and colours.

https://developers.notion.com/guides/data-apis/enhanced-markdown
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_FENCE: Final = "```"
_ITEM: Final = re.compile(r"(?:[-*+]|\d{1,9}[.)]) ")
_ATTRIBUTES: Final = re.compile(r" ?\{[a-z-]+=\"[^\"{}]*\"(?: [a-z-]+=\"[^\"{}]*\")*\}$")
_WRAPPER: Final = re.compile(r"</?(?:callout|details|summary|columns?|synced_block|synced_block_reference)\b[^<>]*>")
_UNKNOWN: Final = re.compile(r"<unknown\b[^<>]*>(?:</unknown>)?")
_SIGNATURE: Final = re.compile(r"\?X-Amz-[^\s\"'<>)]*")
"""Signature of a link to a file: it ends within the hour, and is another at each reading."""
_BLANK_LINES: Final = re.compile(r"\n{3,}+")


def plain_markdown(text: str) -> str:
    """Return Notion's Markdown with blank lines between blocks, without indentation that would make them code."""
    clean = _SIGNATURE.sub("", text)
    return _BLANK_LINES.sub("\n\n", "\n".join(_lines(clean))).strip()


def _lines(text: str) -> Iterator[str]:
    fence, in_table = None, False
    for line in text.split("\n"):
        bare = line.lstrip("\t")
        indent = line[: len(line) - len(bare)]
        if fence is not None:
            yield line.removeprefix(fence)
            fence = None if bare.rstrip() == _FENCE else fence
        elif bare.startswith(_FENCE):
            fence = indent
            yield f"\n{bare}"
        elif in_table or bare.startswith("<table"):
            in_table = not bare.rstrip().endswith("</table>")
            yield bare if in_table else f"{bare}\n"
        else:
            found = _ATTRIBUTES.sub("", _UNKNOWN.sub("", _WRAPPER.sub("", bare))).rstrip()
            yield f"{indent}{found}" if _ITEM.match(found) else f"\n{found}\n"
