"""Markdown of documents as blocks of text, code and tables, none of which a browser interprets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from console.presenters.formats import plain

# A "[1]: …" in a document would turn the markers of citations into links.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table").disable("reference")
_INDENT = "    "


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Plain text with its lines."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Code, and its language when it was named."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class TableBlock:
    """Rows of cells; the first is the header."""

    rows: list[list[str]] = field(default_factory=list)


Block = TextBlock | CodeBlock | TableBlock


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks in order. Items of lists have their number or a bullet; markup within a line is dropped."""
    lists: list[int | None] = []
    prefix = ""
    rows: list[list[str]] | None = None
    for token in _PARSER.parse(plain(markdown)):
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                lists.append(int(token.attrs.get("start", 1)) if token.tag == "ol" else None)
            case "bullet_list_close" | "ordered_list_close":
                lists.pop()
            case "list_item_open":
                number = lists[-1]
                prefix = _INDENT * (len(lists) - 1) + (f"{number}. " if number is not None else "• ")
                lists[-1] = None if number is None else number + 1
            case "table_open":
                rows = []
            case "table_close":
                yield TableBlock(rows or [])
                rows = None
            case "tr_open" if rows is not None:
                rows.append([])
            case "inline" if rows is not None:
                rows[-1].append(_text(token))
            case "inline":
                yield TextBlock(prefix + _text(token))
                prefix = ""
            case "fence" | "code_block":
                yield CodeBlock(token.content.rstrip("\n"), token.info.split(" ")[0])


def _text(token: Token) -> str:
    """The text of a line. A link or an image is written out with its address, never followed."""
    parts: list[str] = []
    addresses: list[str] = []
    for child in token.children or ():
        if child.type == "link_open":
            addresses.append(str(child.attrs.get("href", "")))
        elif child.type == "link_close":
            address = addresses.pop()
            parts.append("" if parts[-1:] == [address] else f" ({address})")
        elif child.type == "image":
            parts.append(f"{child.content} ({child.attrs.get('src', '')})")
        else:
            parts.append("\n" if child.type in {"softbreak", "hardbreak"} else child.content)
    return "".join(parts)
