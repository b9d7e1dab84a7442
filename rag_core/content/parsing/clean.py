"""Cleaning text: characters that may not be stored, hidden and injected text, and positions of lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rag_core.errors import InvalidInput, Reason

# --------------------------------------------------------------------------------------------------------------------
# Characters that never reach the store: NUL (PostgreSQL), lone surrogates (UTF-8), and what readers cannot see.


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
    """Return whether text holds invisible characters that have no use in ordinary prose (asked before `clean`)."""
    return not text.isascii() and _SUSPECT.search(text) is not None


def one_line(text: str, limit: int) -> str:
    """Clean text with its white space collapsed, cut to `limit` code points; for titles and headings."""
    return " ".join(clean(text[: limit * 8]).split())[:limit].rstrip()


# --------------------------------------------------------------------------------------------------------------------
# Looks over finished text: is it empty, is it readable, does it try to give orders.


INJECTION_FLAG: Final = "injection_suspect"
MAX_REPLACEMENT_SHARE: Final = 0.05

# Phrases that address a language model rather than a reader. A match only sets a flag: the text is indexed as data all
# the same, because a document about prompt injection is a legitimate document. See docs/reference/document-types.md.
_INJECTION: Final = re.compile(
    r"(?:ignore|disregard|forget|override)\s+(?:(?:all|any|the|your|my|of|these)\s+){0,3}"
    r"(?:previous|prior|above|earlier|preceding|existing|system)\s+(?:\w+\s+)?(?:instruction|prompt|rule|direction|context|message)"
    r"|(?:reveal|print|show|repeat|output)\s+(?:me\s+)?(?:the|your)\s+(?:system|hidden|initial)\s+(?:prompt|instructions)"
    r"|you\s+are\s+now\s+(?:a|an|in|the)\s+\w+\s+(?:mode|assistant|model|ai)"
    r"|<\|(?:im_start|im_end|system|endoftext)\|>"
    r"|(?:忽略|无视|忘记|忽視|無視)(?:掉)?(?:你)?(?:之前|以上|前面|先前|上述|此前)(?:的)?(?:所有|全部|一切)?(?:的)?(?:指令|指示|提示|规则|說明|说明|命令|对话)"
    r"|(?:忽略|无视|忘记)(?:所有|全部|一切)(?:之前|以上|前面|先前|上述|此前)?(?:的)?(?:指令|指示|提示词|规则|命令)",
    re.IGNORECASE,
)


def require_readable(text: str) -> None:
    """Raise `InvalidInput`: `NO_TEXT` without text, `ENCODING_UNKNOWN` when over 5 % could not be decoded."""
    if not text:
        raise InvalidInput(Reason.NO_TEXT, "the document contains no text")
    bad = text.count(REPLACEMENT)
    if bad and bad > MAX_REPLACEMENT_SHARE * len(text):
        raise InvalidInput(
            Reason.ENCODING_UNKNOWN,
            "more than 5 % of the characters could not be decoded; save the document as UTF-8",
        )


def looks_like_injection(text: str) -> bool:
    """Return whether the text holds a phrase that is usually addressed to a language model."""
    return _INJECTION.search(text) is not None


# --------------------------------------------------------------------------------------------------------------------
# Joins the lines of a paragraph that was broken for layout.


_WIDE: Final = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


def is_wide(char: str) -> bool:
    """Return whether a character belongs to a script that is written without spaces."""
    return _WIDE.match(char) is not None


def join_lines(lines: Iterable[str]) -> str:
    """One line: joined by a space, or by nothing between two characters of Chinese or Japanese."""
    joined: list[str] = []
    last = ""
    for line in lines:
        stripped = line.strip()
        if not stripped:
            continue
        if last and not (is_wide(last) and is_wide(stripped[0])):
            joined.append(" ")
        joined.append(stripped)
        last = stripped[-1]
    return "".join(joined)
