"""What `across` quotes: candidate sentences, nearness of a passage, citations of the best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag_core.answering.base import Question
from rag_core.answering.citations import Citation, cite
from rag_core.answering.display import display
from rag_core.answering.evidence import asks
from rag_core.answering.passages import passage_of
from rag_core.answering.sentences import split_sentences
from rag_core.retrieval.index import SearchHit

MAX_SENTENCES = 3
MIN_COMPARED = 3
STATEMENT = 24
"""Bytes of words, four English ones or eight Chinese characters, that are more than a heading or a term."""
_NO_WORD = re.compile(r"[\W_]+")
NEUTRAL_NEARNESS = 0.25
"""The value of nearness that is as common with an answer as without."""

Span = tuple[int, int, int]
"""`hits[rank].payload.text[start:end]` as (rank, start, end)."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A candidate: `hits[rank].payload.text[start:end]`, and what it is worth."""

    rank: int
    start: int
    end: int
    score: float


def candidates(question: Question, *, passages: int, limit: int) -> list[Span]:
    """The sentences of the first passages that do not ask themselves, `limit` at most."""
    found: list[Span] = []
    for rank, hit in enumerate(question.hits[:passages]):
        passage = passage_of(hit)
        found += [
            (rank, start, end)
            for start, end in split_sentences(passage.text)
            if not asks(question.text, passage.text[start:end]) and passage.says(start, end)
        ]
    return found[:limit]


def nearness(hits: Sequence[SearchHit], rank: int) -> float:
    """How much nearer to the question the passage is than the average one: the ratio of cosine distances, minus one.

    A ratio, because embedders differ in how they spread cosines. Neutral when there is too little to compare with.
    """
    cosines = [hit.dense for hit in hits if hit.dense is not None]
    own = hits[rank].dense
    if own is None or len(cosines) < MIN_COMPARED:
        return NEUTRAL_NEARNESS
    average = sum(cosines) / len(cosines)
    return min(2.0, max(-0.5, (1 - average) / max(1 - own, 1e-3) - 1))


def citations(hits: Sequence[SearchHit], ranked: Sequence[Sentence], *, at_least: float) -> tuple[Citation, ...]:
    """The first few sentences of a ranking whose score is at least so much, without repeats."""
    chosen: list[Citation] = []
    shown: list[str] = []
    for sentence in ranked:
        if len(chosen) == MAX_SENTENCES or sentence.score < at_least:
            break
        citation = cite(
            hits[sentence.rank], number=len(chosen) + 1, rank=sentence.rank, start=sentence.start, end=sentence.end
        )
        said = _NO_WORD.sub(" ", display(citation.quote).casefold()).strip()
        if display(citation.quote) and not any(_same(said, before) for before in shown):
            shown.append(said)
            chosen.append(citation)
    return tuple(chosen)


def _same(one: str, other: str) -> bool:
    """Whether one statement holds the other, as an example or a quotation of it does."""
    shorter, longer = sorted((one, other), key=len)
    return shorter == longer or (len(shorter.encode()) >= STATEMENT and shorter in longer)
