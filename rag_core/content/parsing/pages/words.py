"""Find a quote among the words of a page: both were read from the same page, but lines, hyphens and signs differ."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import Match, SequenceMatcher
from itertools import pairwise
from typing import Final, NamedTuple

_WORD: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff]|[^\\W_\u3400-\u9fff\uf900-\ufaff]+")
_LEAST: Final = 3
"""Words in a row that are the quote and no accident, unless the quote has fewer."""
_GAP: Final = 2
"""Words between two parts of the quote that belong to it: one that is hyphenated, or read in another way."""
_MOST_WORDS: Final = 20_000


class Word(NamedTuple):
    """A word, or a character of a script without spaces; `text[start:end]` of the text it was found in."""

    key: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """The words of a text in its order, the first 20,000."""
    found = []
    for match in _WORD.finditer(text):
        found.append(Word(unicodedata.normalize("NFKC", match[0]).casefold(), *match.span()))
        if len(found) == _MOST_WORDS:
            break
    return found


def find_quote(page: Sequence[Word], quote: Sequence[Word]) -> list[tuple[int, int]]:
    """Spans of `page` (positions of words, end exclusive) that hold the quote or parts of it."""
    matcher = SequenceMatcher(None, [word.key for word in page], [word.key for word in quote], autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    near = [_are_near(before, after) for before, after in pairwise(blocks)]
    groups: list[list[Match]] = []
    for number, block in enumerate(blocks):
        if number and near[number - 1]:
            groups[-1].append(block)
        else:
            groups.append([block])
    least = min(_LEAST, len(quote))
    return [(group[0].a, group[-1].a + group[-1].size) for group in groups
            if max(block.size for block in group) >= least]  # fmt: skip


def _are_near(before: Match, after: Match) -> bool:
    return after.a - before.a - before.size <= _GAP and after.b - before.b - before.size <= _GAP
