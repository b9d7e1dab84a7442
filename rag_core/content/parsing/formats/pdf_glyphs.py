"""Glyphs of a PDF whose characters are not what is seen: ligatures that a space splits, and bullets of symbol fonts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

_SPLIT_LIGATURE: Final = re.compile(
    "(?<=[^\\W\\d_]f[fil]) (?=[^\\W\\d_])|(?<=[\ufb00-\ufb06]) (?=[^\\W\\d_])"
    "|(?<=[^\\W\\d_]) (?=[\ufb00-\ufb06]|f[fil][^\\W\\d_])"
)
_LIGATURES: Final = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_JOINED: Final = "\x00"
_NO_GAP: Final = 0.1  # in font sizes; a space between words is at least twice as wide
_SYMBOL_FONT: Final = re.compile(rb"wingding|webding|dingbat|bullet|monotypesorts|marlett", re.IGNORECASE)
_GREEK_FONT: Final = re.compile(rb"symbol", re.IGNORECASE)
_GREEK_BULLETS: Final = frozenset("\u00b7\uf0b7\uf0a7")
"""Most of the font Symbol are letters of formulas."""
_FIRST_MARK: Final = re.compile(r"\A(\S)(?:[ ]++(?=\S)|\Z)")
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
BULLET: Final = "\u2022"


def mark_split_ligatures(text: str, size: float, start: Callable[[int], float]) -> str:
    """The text with a mark, as long as a space, for each space beside a ligature where no gap is seen.

    `start` is where the character at a place of the text begins.
    """

    def replaced(match: re.Match[str]) -> str:
        at = match.start()
        return _JOINED if start(at + 1) - start(at) < _NO_GAP * (size or 10) else " "

    return _SPLIT_LIGATURE.sub(replaced, text) if " " in text else text


def without_marks(text: str) -> str:
    """Text without the marks of `mark_split_ligatures`, and with the letters of its ligatures."""
    return text if text.isascii() and _JOINED not in text else text.replace(_JOINED, "").translate(_LIGATURES)


class FirstMark(NamedTuple):
    """A character that a line begins with, by itself, with its font and that of what follows."""

    mark: str
    font: bytes
    next_font: bytes


def first_mark(text: str, font_at: Callable[[int], bytes]) -> FirstMark | None:
    """The mark that a line begins with; `font_at` names the font of the character at a place of the text."""
    match = _FIRST_MARK.match(text)
    if match is None:
        return None
    own = font_at(0)
    return FirstMark(match[1], own, font_at(match.end()) if match.end() < len(text) else own)


def bullets(marks: Sequence[FirstMark | None]) -> list[bool]:
    """Return the marks of a page's lines that are bullets: of a symbol font, or repeated ones of another."""
    foreign = Counter(
        mark for mark in marks if mark is not None and mark.font != mark.next_font and not _GREEK_FONT.search(mark.font)
    )
    return [
        mark is not None and (_is_symbol(mark) or (foreign[mark] > 1 and not _is_plain(mark.mark))) for mark in marks
    ]


def _is_symbol(mark: FirstMark) -> bool:
    if _GREEK_FONT.search(mark.font):
        return mark.mark in _GREEK_BULLETS
    return _PRIVATE.match(mark.mark) is not None or _SYMBOL_FONT.search(mark.font) is not None


def _is_plain(char: str) -> bool:
    """Return whether a character may stand at the beginning of a line for itself."""
    return char.isascii() or char.isdecimal()
