"""Text of an answer as parts: what is marked, and the markers that stand for its sources."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TypedDict

from console.presenters.formats import plain
from ragproto.query.v2 import query_pb2

_MARKER = re.compile(r"\[(\d{1,3})\]")
_LEAST_MARKED = 2
"""Characters of a line that is looked for; shorter ones would be found everywhere."""


class Part(TypedDict):
    """A piece of text; `number` is that of the citation whose marker it is, else 0."""

    text: str
    marked: bool
    number: int


def marked_lines(excerpt: query_pb2.Excerpt) -> list[str]:
    """The lines of an excerpt's highlights, as they are shown."""
    found = (excerpt.text[span.start : span.end] for span in excerpt.highlights)
    lines = (line.strip() for text in found for line in plain(text).splitlines())
    return [line for line in lines if len(line) >= _LEAST_MARKED]


def parts(text: str, marked: Sequence[str], numbers: Collection[int]) -> list[Part]:
    """A block of text in parts; `numbers` are the citations that there are."""
    found: list[Part] = []
    end = 0
    for start, stop in _spans(text, marked):
        found += _with_markers(text[end:start], numbers, marked=False)
        found += _with_markers(text[start:stop], numbers, marked=True)
        end = stop
    return [*found, *_with_markers(text[end:], numbers, marked=False)]


def _spans(text: str, marked: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Return the places of the marked lines, in order and without overlaps."""
    end = 0
    for start, stop in sorted((place, place + len(line)) for line in marked if (place := text.find(line)) >= 0):
        if start >= end:
            yield start, stop
            end = stop


def _with_markers(text: str, numbers: Collection[int], *, marked: bool) -> Iterator[Part]:
    end = 0
    for marker in _MARKER.finditer(text):
        if int(marker[1]) not in numbers:
            continue
        if marker.start() > end:
            yield Part(text=text[end : marker.start()], marked=marked, number=0)
        yield Part(text=marker[0], marked=False, number=int(marker[1]))
        end = marker.end()
    if end < len(text):
        yield Part(text=text[end:], marked=marked, number=0)
