"""Sentences of a passage with exact offsets, for English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SENTENCE_CHARS = 500

Span = tuple[int, int]

# A Chinese stop ends a sentence wherever it stands; a Latin one, and a single "…", which stands for what was left out
# of `{"a": …}` too, only before a space and something that can begin the next sentence.
# Closing quotes and brackets belong to the sentence they close. Possessive repeats and the look-behind
# keep a row of 100 000 stops linear.
_END = re.compile(
    r"(?:[。！？；]++|…{2}+)[”’」』）》\"']*+"
    r"|(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?:\[\d+\])*+(?=\s+[\"'“‘(\[]?[^\sa-z])"
    r"|\n(?=[ \t]*+(?:\n|[-*•|>#]|\d+[.)、]))"
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Rev|Gen|Col|Lt|Sgt|Capt|Mt|Ft|No|Nos|vs|cf|al|etc|e\.g|i\.e|Fig|Figs|Eq"
    r"|Sec|Ch|Vol|pp|approx|ca|c|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|[A-Z]|(?:[A-Z]\.)+[A-Z])\.$"
)
_SOFT_BREAK = re.compile(r"[，,;；：:、]\s*|\s+")


def split_sentences(text: str) -> list[Span]:
    """Spans `[start, end)` in reading order, disjoint, without surrounding space, none empty.

    Longer stretches without a sentence end (tables, minified text) are cut at `MAX_SENTENCE_CHARS` at most, at a comma
    or a space where there is one.
    """
    spans: list[Span] = []
    start = 0
    for end in _ends(text):
        spans.extend(_pieces(text, start, end))
        start = end
    spans.extend(_pieces(text, start, len(text)))
    return spans


def _ends(text: str) -> Iterator[int]:
    for match in _END.finditer(text):
        # Only the last characters matter, so that a long text stays linear.
        if match[0].startswith(".") and _ABBREVIATION.search(text[max(0, match.start() - 12) : match.start() + 1]):
            continue
        yield match.end()


def _pieces(text: str, start: int, end: int) -> Iterator[Span]:
    while end - start > MAX_SENTENCE_CHARS:
        cut = _soft_cut(text, start)
        yield from _trimmed(text, start, cut)
        start = cut
    yield from _trimmed(text, start, end)


def _soft_cut(text: str, start: int) -> int:
    limit = start + MAX_SENTENCE_CHARS
    cuts = [match.end() for match in _SOFT_BREAK.finditer(text, start + MAX_SENTENCE_CHARS // 2, limit)]
    return cuts[-1] if cuts else limit


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = end - len(piece) + len(piece.rstrip())
    if left < right:
        yield left, right
