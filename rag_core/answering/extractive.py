"""Answers made of the sources' own sentences.

The sentences that cover most of the question, from the passages that rank highest, are quoted with their exact spans.
Whether they answer at all is a calibrated rule over three signs: how much of the question the best sentence and its
passage cover, and how much nearer that passage is to the question than the others. Figures and method are in
docs/retrieval-answers.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from operator import mul
from typing import NamedTuple

from rag_core.answering.base import Abstained, Abstention, Answered, AnswerEvent, Citation, Delta, Question, cite
from rag_core.answering.display import display
from rag_core.answering.evidence import Unit, coverage, question_units, repeats, term_weights, text_terms
from rag_core.answering.sentences import split_sentences
from rag_core.index.base import Hit

MAX_PASSAGES = 5
MAX_SENTENCES = 3
MAX_CANDIDATES = 200
MIN_COMPARED = 3
NEUTRAL_NEARNESS = 0.25
"""The value of nearness that is as common with an answer as without."""
KEEP_RATIO = 0.75
"""A further sentence is quoted when its score is at least this share of the best one's."""
RANK_WEIGHT = 0.5
"""Weight of the passage's relevance beside the sentence's own coverage."""

# Logistic regression of "the passage that answers is among the hits" on the signs, refitted by `benchmarks.answers`.
WEIGHTS = (2.9, 2.4, 2.2, 5.9)
BIAS = -4.7

_CJK_START = re.compile("[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


class Signs(NamedTuple):
    """What speaks for an answer: the rarity-weighted part of the question that the best sentence covers and that its
    passage covers, the plain part that its passage covers, and how much nearer the passage is than the others."""

    sentence: float
    passage: float
    words: float
    nearness: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A candidate: `hits[rank].payload.text[start:end]`, and its share of the question."""

    rank: int
    start: int
    end: int
    covered: float
    score: float


class ExtractiveAnswerer:
    """Quotes; needs no model and no network. Safe for concurrent use."""

    def __init__(self, threshold: float = 0.0) -> None:
        """`threshold` is added to what the evidence must exceed; higher abstains more often."""
        self._threshold = threshold

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        outcome = await asyncio.to_thread(compose, question, self._threshold)
        if isinstance(outcome, Abstained):
            yield outcome
            return
        previous = ""
        for citation in outcome.citations:
            piece = display(citation.quote)
            yield Delta(f"{_separator(previous, piece)}{piece}{'' if _is_cjk_end(piece) else ' '}[{citation.number}]")
            previous = piece
        yield outcome

    async def close(self) -> None:
        return


def compose(question: Question, threshold: float = 0.0) -> Answered | Abstained:
    """Choose the sentences. Pure; 3 to 5 ms for ten passages of 200 tokens."""
    if not question.hits:
        return Abstained(Abstention.NO_RESULTS)
    ranked, signs = examine(question)
    if not ranked or sum(map(mul, WEIGHTS, signs)) + BIAS <= threshold:
        return Abstained(Abstention.NOT_SUPPORTED)
    citations = tuple(_citations(question.hits, ranked))
    return Answered(citations) if citations else Abstained(Abstention.NOT_SUPPORTED)


def examine(question: Question) -> tuple[list[Sentence], Signs]:
    """The sentences in falling order of score, and the signs that the best one answers (see `Signs`)."""
    units = question_units(question.text)
    retrieved = question.hits + question.contrast
    passages = text_terms([_evidence_text(hit) for hit in retrieved])
    weights = term_weights(units, passages)
    ranked = sorted(_sentences(question, units, weights), key=lambda sentence: -sentence.score)
    if not ranked:
        return [], Signs(0, 0, 0, 0)
    best = ranked[0]
    return ranked, Signs(
        sentence=best.covered,
        passage=coverage(units, passages[best.rank], weights),
        words=coverage(units, passages[best.rank]),
        nearness=nearness(retrieved, best.rank),
    )


def nearness(hits: Sequence[Hit], rank: int) -> float:
    """How much nearer to the question the passage is than the average one: the ratio of cosine distances, minus one.

    A ratio, because embedders differ in how they spread cosines. Neutral when there is too little to compare with.
    """
    cosines = [hit.dense for hit in hits if hit.dense is not None]
    own = hits[rank].dense
    if own is None or len(cosines) < MIN_COMPARED:
        return NEUTRAL_NEARNESS
    average = sum(cosines) / len(cosines)
    return min(2.0, max(-0.5, (1 - average) / max(1 - own, 1e-3) - 1))


def _evidence_text(hit: Hit) -> str:
    """Title and headings count as covered: a section on X need not repeat X in every sentence."""
    payload = hit.payload
    return "\n".join((payload.title, *payload.headings, payload.text))


def _sentences(question: Question, units: Sequence[Unit], weights: dict[int, float]) -> list[Sentence]:
    spans = [
        (rank, start, end)
        for rank, hit in enumerate(question.hits[:MAX_PASSAGES])
        for start, end in split_sentences(hit.payload.text)
        if not repeats(question.text, hit.payload.text[start:end])
    ][:MAX_CANDIDATES]
    terms = text_terms([question.hits[rank].payload.text[start:end] for rank, start, end in spans])
    best = max(max(hit.score for hit in question.hits), 1e-9)
    found = []
    for (rank, start, end), own in zip(spans, terms, strict=True):
        covered = coverage(units, own, weights)
        found.append(Sentence(rank, start, end, covered, covered + RANK_WEIGHT * question.hits[rank].score / best))
    return found


def _citations(hits: Sequence[Hit], ranked: Sequence[Sentence]) -> list[Citation]:
    chosen: list[Citation] = []
    shown: set[str] = set()
    for sentence in ranked:
        if len(chosen) == MAX_SENTENCES or sentence.score < KEEP_RATIO * ranked[0].score:
            break
        citation = cite(
            hits[sentence.rank], number=len(chosen) + 1, rank=sentence.rank, start=sentence.start, end=sentence.end
        )
        text = display(citation.quote)
        if text and text not in shown:
            shown.add(text)
            chosen.append(citation)
    return chosen


def _separator(previous: str, piece: str) -> str:
    if not previous:
        return ""
    return "" if _CJK_START.match(piece) and _is_cjk_end(previous) else " "


def _is_cjk_end(piece: str) -> bool:
    return bool(_CJK_START.match(piece[-1:]))
