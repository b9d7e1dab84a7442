"""Links: spans of a document's text and the targets they point to. They are stored and compared, never opened."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rag_core.content.parsing.clean import clean

MAX_LINKS: Final = 1000
"""Links of one document that are kept."""
MAX_TARGET_CHARS: Final = 300
_MAX_LABEL_CHARS: Final = 300
_MAX_SCAN_CHARS: Final = 20_000
"""Characters behind the link before that are searched for a label; it bounds the time of hostile text."""
_OTHER_SCHEME: Final = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]{0,30}:|#|//", re.IGNORECASE)

NamedTarget = tuple[str, str]
"""The label of a link as it is written, and its target."""


@dataclass(frozen=True, slots=True)
class Link:
    """`text[start:end]` points to `target`: an http address or a path, as the document writes it."""

    start: int
    end: int
    target: str


def is_document_link(target: str) -> bool:
    """Return whether a target may be a document: no fragment of the same page, mail address or script."""
    return 0 < len(target) <= MAX_TARGET_CHARS and not _OTHER_SCHEME.match(target) and target.isprintable()


def nothing_but_links(text: str, named: Iterable[NamedTarget]) -> bool:
    """Return whether the letters of a text are those of its links: marks, numbers and separators do not count."""
    letters = [sum(map(str.isalpha, label)) for label, _ in named]
    return bool(letters) and sum(map(str.isalpha, text)) <= sum(letters)


def locate(text: str, named: Iterable[NamedTarget], origin: int = 0) -> Iterator[Link]:
    """Find the labels of links, in their order, in the text of a block that begins at `origin`."""
    flat, at = text.replace("\n", " "), 0
    for label, target in named:
        wanted = " ".join(clean(label[:_MAX_LABEL_CHARS]).split())
        found = flat.find(wanted, at, at + _MAX_SCAN_CHARS) if wanted and is_document_link(target) else -1
        if found >= 0:
            at = found + len(wanted)
            yield Link(origin + found, origin + at, target)


def links_to_rows(links: Iterable[Link], origin: int = 0) -> list[list[Any]]:
    """Convert links to `[start, end, target]`, relative to `origin`."""
    return [[link.start - origin, link.end - origin, link.target] for link in links]


def links_from_rows(rows: Sequence[Sequence[Any]], origin: int = 0) -> tuple[Link, ...]:
    """Convert the rows of `links_to_rows` back. Raises `ValueError` or `TypeError` for anything else."""
    return tuple([Link(start + origin, end + origin, target) for start, end, target in map(_checked, rows)])


def _checked(row: Sequence[Any]) -> Sequence[Any]:
    start, end, target = row
    if type(start) is not int or type(end) is not int or not isinstance(target, str):
        raise TypeError("link")
    if not 0 <= start < end or not is_document_link(target):
        raise ValueError("link")
    return row


def links_within(rows: Sequence[Sequence[Any]], start: int, end: int) -> tuple[Link, ...]:
    """Return the links that lie within a span, of rows in the order of their positions."""
    first, last = (bisect_left(rows, at, key=lambda row: row[0]) for at in (start, end))
    return links_from_rows([row for row in rows[first:last] if row[1] <= end])
