"""Python package metadata (`METADATA`, `PKG-INFO`): headers, then a long description."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser
from typing import Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind
from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.formats.markdown import add_markdown
from rag_core.content.parsing.formats.plain import clean_line_ends
from rag_core.content.parsing.formats.rst import add_rst

_KEPT: Final = (
    "Name",
    "Version",
    "Author",
    "License",
    "License-Expression",
    "Home-page",
    "Requires-Python",
    "Keywords",
)
_FOLD: Final = "\n        "


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Title is name and version; text is the summary and the description in its own markup."""
    message = HeaderParser().parsestr(clean_line_ends(text))
    builder = TextBuilder(limits)
    name, version = _value(message, "Name"), _value(message, "Version")
    title = f"{name} {version}".strip()
    metadata = {key.lower().replace("-", "_"): _value(message, key) for key in _KEPT}
    # A licence header may hold the whole text of the licence; its first line names it.
    metadata["license"] = metadata["license"].split("\n")[0][:200]
    builder.heading(title, 1)
    summary = _value(message, "Summary")
    if summary.upper() != "UNKNOWN":
        builder.paragraph(summary)
    builder.add(BlockKind.LIST, _facts(metadata))
    description = _description(message)
    if description.strip() and description.strip().upper() != "UNKNOWN":
        markdown = "markdown" in _value(message, "Description-Content-Type").lower()
        (add_markdown if markdown else add_rst)(builder, description)
    return builder.finish(media_type, title=title, metadata=metadata)


def _facts(metadata: dict[str, str]) -> str:
    """Return the headers as text that can be found."""
    licence = metadata["license_expression"] or metadata["license"]
    facts = {"Licence": licence, "Requires Python": metadata["requires_python"], "Author": metadata["author"]}
    return "\n".join(f"{name}: {value}" for name, value in facts.items() if value and value.upper() != "UNKNOWN")


def _value(message: Message, key: str) -> str:
    return str(message.get(key, "")).strip()


def _description(message: Message) -> str:
    body = message.get_payload()
    if isinstance(body, str) and body.strip():
        return body
    # Before metadata version 2.1 the description was a folded header.
    return str(message.get("Description", "")).replace(_FOLD, "\n").replace("\n       |", "\n")
