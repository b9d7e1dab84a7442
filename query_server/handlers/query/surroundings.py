"""The text around passages: chunks before and behind a hit, or its section, of the same version of its document."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rag_core.answering.model import joined_text, same_section
from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.index import ChunkRange, Payload, SearchHit

MAX_CHUNKS: Final = 10
"""Chunks on either side of a passage."""
MAX_PASSAGES: Final = 20
"""Passages of one response whose surroundings are read: 400 chunks at most."""


@dataclass(frozen=True, slots=True)
class ContextSize:
    """Number of chunks around a passage, or its section."""

    before: int = 0
    after: int = 0
    section: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The text around a passage; `start` and `end` are where all three together begin and end in the document."""

    before: str
    after: str
    start: int
    end: int


def check_context(options: ContextSize | None) -> ContextSize | None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for options out of range; return `None` for those that ask for nothing."""
    if options is None:
        return None
    for name, value in (("before", options.before), ("after", options.after)):
        if not 0 <= value <= MAX_CHUNKS:
            raise InvalidInput(Reason.FIELD_INVALID, f"context.{name}: must be 0 to {MAX_CHUNKS}")
    if options.section:
        if options.before or options.after:
            raise InvalidInput(Reason.FIELD_INVALID, "context: set section, or before and after")
        return ContextSize(MAX_CHUNKS, MAX_CHUNKS, section=True)
    return options if options.before or options.after else None


def places_around(hits: Sequence[SearchHit], options: ContextSize) -> list[ChunkRange]:
    """Return the chunks to read for the first `MAX_PASSAGES` hits."""
    payloads = [hit.payload for hit in hits[:MAX_PASSAGES]]
    return [
        ChunkRange(own.doc_id, own.version, max(0, own.ordinal - options.before), own.ordinal + options.after)
        for own in payloads
    ]


def surroundings(
    hits: Sequence[SearchHit], around: Iterable[SearchHit], options: ContextSize
) -> tuple[Surroundings, ...]:
    """The text around each of the first `MAX_PASSAGES` hits. A chunk that was not read ends it: nothing is left out."""
    read = {(hit.payload.doc_id, hit.payload.version, hit.payload.ordinal): hit.payload for hit in around}
    found = []
    for hit in hits[:MAX_PASSAGES]:
        own = hit.payload
        before = _adjacent(own, read, range(own.ordinal - 1, own.ordinal - options.before - 1, -1), options)[::-1]
        after = _adjacent(own, read, range(own.ordinal + 1, own.ordinal + options.after + 1), options)
        whole, until = joined_text([*before, own, *after]), joined_text([*before, own])
        first, last = (before or [own])[0], (after or [own])[-1]
        found.append(
            Surroundings(
                until[: len(until) - len(own.text)],
                whole[len(until) :],
                min(first.start, own.start),
                max(last.start + len(last.text), own.start + len(own.text)),
            )
        )
    return tuple(found)


def _adjacent(
    own: Payload, read: dict[tuple[uuid.UUID, int, int], Payload], ordinals: Iterable[int], options: ContextSize
) -> list[Payload]:
    found: list[Payload] = []
    for ordinal in ordinals:
        other = read.get((own.doc_id, own.version, ordinal))
        if other is None or (options.section and not same_section(own, other)):
            break
        found.append(other)
    return found
