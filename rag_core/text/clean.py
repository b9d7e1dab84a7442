"""Characters that never reach the store: NUL (PostgreSQL), lone surrogates (UTF-8), and what readers cannot see."""

from __future__ import annotations

import re
from typing import Final

ZERO_WIDTH_FLAG: Final = "zero_width"
REPLACEMENT: Final = "\ufffd"

# Line ends first, so that what follows knows one form only. U+2028/2029 are the Unicode line and paragraph separators.
_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# C0 and C1 controls except tab and line feed, soft hyphens, noncharacters and the object replacement of office files.
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\ufdd0-\ufdef\ufffc\ufffe\uffff]")
# Zero-width spaces, bidirectional controls and tag characters: invisible, and used to hide text or to split words.
# U+200C and U+200D stay: Persian and emoji need them.
_INVISIBLE: Final = re.compile("[\u200b\u200e\u200f\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u206f\U000e0000-\U000e007f]")
_SUSPECT: Final = re.compile("[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def clean(text: str) -> str:
    """Make text storable and comparable; the same input always gives the same output.

    Line ends become LF, exotic spaces a space, lone surrogates U+FFFD; controls and invisible characters go.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    text = _SPACES.sub(" ", text)
    text = _SURROGATES.sub(REPLACEMENT, text)
    text = _CONTROLS.sub("", text)
    return _INVISIBLE.sub("", text)


def has_suspect_invisibles(text: str) -> bool:
    """Whether text holds invisible characters that have no use in ordinary prose (asked before `clean`)."""
    return not text.isascii() and _SUSPECT.search(text) is not None


def one_line(text: str, limit: int) -> str:
    """Clean text with its white space collapsed, cut to `limit` code points; for titles and headings."""
    return " ".join(clean(text[: limit * 8]).split())[:limit].rstrip()
