"""The context before a chunk's text for the embedder: title, headings, and what a cut table or description repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rag_core.content.chunking.units import DocumentOutline, TextUnit

if TYPE_CHECKING:
    from rag_core.content.embedding import TokenCounter

HEADING_SEPARATOR: Final = " > "
# Context helps as long as the text itself remains the larger part.
_CONTEXT_SHARE: Final = 3
_HEADER_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class Context:
    """Context as text, and its cost in tokens."""

    text: str
    tokens: int


class ContextBuilder:
    """Makes the context of one document's chunks: at most a third of a chunk, and a quarter for a table header.

    Unless it is `used`, title and headings are left out; a cut table keeps its header, which says what its cells are.
    """

    def __init__(self, title: str, limit: int, counter: TokenCounter, *, used: bool = True) -> None:
        self._title = title
        self._used = used
        self._cap = limit // _CONTEXT_SHARE
        self.header_cap = limit // _HEADER_SHARE
        self._counter = counter
        self._lengths: dict[str, int] = {}
        self._contexts: dict[tuple[str, ...], Context] = {}

    def learn(self, texts: Sequence[str], counts: Sequence[int]) -> None:
        """Take token counts that are already known, so that headings are not counted again."""
        self._lengths.update(zip(texts, counts, strict=True))

    def nearest(self, path: tuple[str, ...]) -> Context:
        """The heading at the end of a path alone."""
        return Context(path[-1], self._length(path[-1])) if path else Context("", 0)

    def within(self, path: tuple[str, ...], inside: Sequence[str], room: int) -> Context:
        """The context, or as much of its end as fits into `room`: the nearest heading is the last to go.

        Text that is longer than a chunk by itself, and is halved later, leaves less than no room.
        """
        context = self.of(path, inside)
        parts = context.text.split(HEADING_SEPARATOR)
        while parts and context.tokens > room:
            parts = parts[1:]
            context = Context(HEADING_SEPARATOR.join(parts), self._tokens(parts)) if parts else Context("", 0)
        return context

    def repeating(self, text: str, tokens: int) -> Context:
        """Return the context that a cut table or description repeats, shortened to its share of a chunk."""
        if tokens > self.header_cap:
            text = self._cut(text, self.header_cap)
            tokens = self._length(text)
        return Context(text, tokens)

    def of(self, path: tuple[str, ...], inside: Sequence[str] = ()) -> Context:
        """Context for a chunk under `path` whose own text begins with the headings `inside`."""
        if not self._used:
            return Context("", 0)
        own = set(inside)
        parts = tuple(heading for heading in path if heading not in own)
        if self._title and self._title not in path and self._title not in own:
            parts = (self._title, *parts)
        return self._within_cap(parts)

    def _within_cap(self, parts: tuple[str, ...]) -> Context:
        found = self._contexts.get(parts)
        if found is not None:
            return found
        kept = list(parts)
        # The first part says which document, the last what this is about: drop from between them.
        while len(kept) > 2 and self._tokens(kept) > self._cap:
            del kept[1]
        if self._tokens(kept) > self._cap:
            share = self._cap // max(len(kept), 1) - 1
            kept = [cut for part in kept if (cut := self._cut(part, share))]
        context = Context(HEADING_SEPARATOR.join(kept), self._tokens(kept))
        if context.tokens > self._cap:
            context = Context("", 0)
        self._contexts[parts] = context
        return context

    def _tokens(self, parts: Sequence[str]) -> int:
        if not parts:
            return 0
        return sum(map(self._length, parts)) + (len(parts) - 1) * self._length(HEADING_SEPARATOR.strip())

    def _length(self, text: str) -> int:
        length = self._lengths.get(text)
        if length is None:
            length = self._lengths[text] = self._counter.count(text)
        return length

    def _cut(self, text: str, tokens: int) -> str:
        """The beginning of a part that is about `tokens` long."""
        while text and self._length(text) > tokens:
            text = text[: len(text) * max(tokens, 0) // (self._length(text) + 1)].rstrip()
        return text


def shared_path(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The headings that all paths begin with."""
    first, *others = paths
    depth = len(first)
    for path in others:
        depth = next((i for i in range(min(depth, len(path))) if path[i] != first[i]), min(depth, len(path)))
    return first[:depth]


def headings_inside(outline: DocumentOutline, units: Sequence[TextUnit]) -> list[str]:
    """The headings that the text of these units shows in full."""
    return [outline.sections[unit.section].path[-1] for unit in units if unit.heading]
