"""Joins the lines of a paragraph that was broken for layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WIDE: Final = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


def is_wide(char: str) -> bool:
    """Whether a character belongs to a script that is written without spaces."""
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
