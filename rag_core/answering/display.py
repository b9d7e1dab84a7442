"""Make text of documents and models safe to show in an answer."""

from __future__ import annotations

import re
import unicodedata

_NUMBERED_BRACKET = re.compile(r"\[\s*\d+(?:\s*[,，、]\s*\d+)*\s*\]")
_MARKUP = re.compile(r"[\\`\[\]<]")
_DROPPED = frozenset({"Cc", "Cf", "Cs"})


def display(quote: str) -> str:
    """A quote as it may stand in an answer: one line, no control or direction characters, no brackets like a marker."""
    without = _NUMBERED_BRACKET.sub("", quote)
    shown = "".join(char for char in " ".join(without.split()) if unicodedata.category(char) not in _DROPPED)
    return shown.strip()


def escaped(text: str) -> str:
    """Text of a document as Markdown that shows it: it makes no link, image, element or code of its own."""
    return _MARKUP.sub(r"\\\g<0>", text)
