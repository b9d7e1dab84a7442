"""Answers made of the sources' own sentences.

The sentences that cover most of the question, from the passages that rank highest, are quoted with their exact spans.
Whether they answer at all is a calibrated rule over three signs: how much of the question the best sentence and its
passage cover, and how much nearer that passage is to the question than the others. Where the words say nothing, because
question and documents are in different languages, `across` compares meanings instead. Figures and method are in
docs/retrieval-answers.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from operator import mul
from typing import NamedTuple

from rag_core.answering import across
from rag_core.answering.base import Abstained, Abstention, Answered, AnswerEvent, Delta, Question
from rag_core.answering.evidence import Unit, coverage, question_units, term_weights, text_terms
from rag_core.answering.quoting import Sentence, candidates, citations, display, nearness
from rag_core.index import Hit

MAX_PASSAGES = 5
MAX_CANDIDATES = 200
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


class ExtractiveAnswerer:
    """Quotes; needs no model but the one that embedded the question. Safe for concurrent use."""

    def __init__(self, threshold: float = 0.0) -> None:
        """`threshold` is added to what the evidence must exceed; higher abstains more often."""
        self._threshold = threshold

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        outcome = await decide(question, self._threshold)
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


async def decide(question: Question, threshold: float = 0.0) -> Answered | Abstained:
    """Choose the sentences, by their words or else by their meaning. Raises what `question.embed` raises."""
    outcome, known = await asyncio.to_thread(weigh, question, threshold)
    if isinstance(outcome, Abstained) and known <= across.KNOWN:
        return await across.compose(question, threshold) or outcome
    return outcome


def compose(question: Question, threshold: float = 0.0) -> Answered | Abstained:
    """Choose the sentences by their words. Pure; 3 to 5 ms for ten passages of 200 tokens."""
    return weigh(question, threshold)[0]


def weigh(question: Question, threshold: float = 0.0) -> tuple[Answered | Abstained, float]:
    """As `compose`, with the part of the question's words that the best passage knows."""
    if not question.hits:
        return Abstained(Abstention.NO_RESULTS), 1.0
    ranked, signs = examine(question)
    if ranked and sum(map(mul, WEIGHTS, signs)) + BIAS > threshold:
        quoted = citations(question.hits, ranked, at_least=KEEP_RATIO * ranked[0].score)
        if quoted:
            return Answered(quoted), signs.words
    return Abstained(Abstention.NOT_SUPPORTED), signs.words


def examine(question: Question) -> tuple[list[Sentence], Signs]:
    """The sentences in falling order of score, and the signs that the best one answers (see `Signs`)."""
    units = question_units(question.text)
    retrieved = question.hits + question.contrast
    passages = text_terms([_evidence_text(hit) for hit in retrieved])
    weights = term_weights(units, passages)
    ranked = sorted(_sentences(question, units, weights), key=lambda found: -found[0].score)
    if not ranked:
        return [], Signs(0, 0, 0, 0)
    best, covered = ranked[0]
    return [sentence for sentence, _ in ranked], Signs(
        sentence=covered,
        passage=coverage(units, passages[best.rank], weights),
        words=coverage(units, passages[best.rank]),
        nearness=nearness(retrieved, best.rank),
    )


def _evidence_text(hit: Hit) -> str:
    """Title and headings count as covered: a section on X need not repeat X in every sentence."""
    payload = hit.payload
    return "\n".join((payload.title, *payload.headings, payload.text))


def _sentences(question: Question, units: Sequence[Unit], weights: dict[int, float]) -> list[tuple[Sentence, float]]:
    """Candidates with the part of the question that each covers."""
    spans = candidates(question, passages=MAX_PASSAGES, limit=MAX_CANDIDATES)
    terms = text_terms([question.hits[rank].payload.text[start:end] for rank, start, end in spans])
    best = max(max(hit.score for hit in question.hits), 1e-9)
    found = []
    for (rank, start, end), own in zip(spans, terms, strict=True):
        covered = coverage(units, own, weights)
        score = covered + RANK_WEIGHT * question.hits[rank].score / best
        found.append((Sentence(rank, start, end, score), covered))
    return found


def _separator(previous: str, piece: str) -> str:
    if not previous:
        return ""
    return "" if _CJK_START.match(piece) and _is_cjk_end(previous) else " "


def _is_cjk_end(piece: str) -> bool:
    return bool(_CJK_START.match(piece[-1:]))
