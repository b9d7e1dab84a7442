"""Small to big: retrieved passages with what stands around them, as numbered sections that a model reads.

Retrieval is by chunk, because a small text is found more precisely; a model reads the section around it, because a
small text rarely says everything. The size of all sections together is bounded in tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rag_core.answering.base import Question
from rag_core.answering.display import display
from rag_core.answering.pages import page_kind
from rag_core.answering.retrieval import REACH, place_around
from rag_core.retrieval.index import Payload, SearchHit

_CORE_SHARE: Final = 0.6
"""Share of the tokens that the hits themselves take before what stands around them is added."""
_BYTES_PER_TOKEN: Final = 4
"""Estimated UTF-8 bytes of a token, for English (0.25 tokens a character) and Chinese (0.75)."""


@dataclass(frozen=True, slots=True)
class Section:
    """Adjacent chunks of one document. `members` are their positions in `Sections.passages`, in reading order."""

    heading: str
    text: str
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections that a model reads. `passages` are the hits of the question, then the neighbours that were added."""

    passages: tuple[SearchHit, ...]
    sections: tuple[Section, ...]


async def read_sections(question: Question, hits: Sequence[SearchHit], *, limit: int, tokens: int) -> Sections:
    """At most `limit` sections around these hits of a question, of about `tokens` tokens together, the best first.

    Raises what `question.around` raises.
    """
    chosen = _Chosen(tokens)
    cores = list(hits[:limit])
    for hit in cores:
        if not chosen.hits or chosen.used + estimate(hit.payload.text) <= tokens * _CORE_SHARE:
            chosen.add(hit)
    if question.around is not None:
        kept = list(chosen.hits.values())
        for hit in _nearest(kept, await question.around([place_around(hit) for hit in kept])):
            chosen.add_if_room(hit)
    for hit in cores:
        chosen.add_if_room(hit)
    own = {hit.chunk_id for hit in question.hits}
    passages = (*question.hits, *(hit for hit in chosen.hits.values() if hit.chunk_id not in own))
    return Sections(passages, tuple(_sections(passages, chosen.hits, limit, tokens)))


def estimate(text: str) -> int:
    """About how many tokens a text has."""
    return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN + 1


class _Chosen:
    """The passages taken so far, within a number of tokens."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self.hits: dict[uuid.UUID, SearchHit] = {}
        self.used = 0

    def add(self, hit: SearchHit) -> None:
        self.hits[hit.chunk_id] = hit
        self.used += estimate(hit.payload.text)

    def add_if_room(self, hit: SearchHit) -> None:
        if hit.chunk_id not in self.hits and self.used + estimate(hit.payload.text) <= self._tokens:
            self.add(hit)


def _nearest(hits: Sequence[SearchHit], around: Sequence[SearchHit]) -> Iterator[SearchHit]:
    """Neighbours within the section of a hit: those next to it before those beyond, the best hit's first."""
    for distance in range(1, REACH + 1):
        for hit in hits:
            own = hit.payload
            for neighbour in around:
                other = neighbour.payload
                apart = abs(other.ordinal - own.ordinal) if other.doc_id == own.doc_id else 0
                if apart == distance and other.version == own.version and same_section(own, other):
                    yield neighbour


def same_section(one: Payload, other: Payload) -> bool:
    """Return whether one of the two stands under the other's headings."""
    shared = min(len(one.headings), len(other.headings))
    return one.headings[:shared] == other.headings[:shared]


def _sections(
    passages: Sequence[SearchHit], chosen: dict[uuid.UUID, SearchHit], limit: int, tokens: int
) -> Iterator[Section]:
    """Runs of adjacent passages, that with the best hit first."""
    used = [at for at, hit in enumerate(passages) if hit.chunk_id in chosen]
    order = sorted(used, key=lambda at: _position(passages[at].payload))
    runs: list[list[int]] = []
    for at in order:
        if runs and _follows(passages[runs[-1][-1]].payload, passages[at].payload):
            runs[-1].append(at)
        else:
            runs.append([at])
    for run in sorted(runs, key=min)[:limit]:
        first = passages[run[0]].payload
        text = joined_text([passages[at].payload for at in run])
        # A single passage may be larger than all that is allowed.
        yield Section(_heading(first), text[: tokens * _BYTES_PER_TOKEN], tuple(run))


def _position(payload: Payload) -> tuple[uuid.UUID, int, int]:
    return payload.doc_id, payload.version, payload.ordinal


def _follows(one: Payload, other: Payload) -> bool:
    return _position(other) == (one.doc_id, one.version, one.ordinal + 1)


def joined_text(payloads: Sequence[Payload]) -> str:
    """The text of adjacent chunks, which may overlap."""
    text, end = "", payloads[0].start
    for payload in payloads:
        overlap = min(max(end - payload.start, 0), len(payload.text)) if text else 0
        text += ("\n" if text and not overlap else "") + payload.text[overlap:]
        end = max(end, payload.start + len(payload.text))
    return text


def _heading(payload: Payload) -> str:
    path = " > ".join(dict.fromkeys(display(part) for part in (payload.title or payload.locator, *payload.headings)))
    return f"{path} ({page_kind(payload.media_type)} {payload.page})" if payload.page else path
