"""Answers to a question in another language than the documents: meanings are compared instead of words.

The sentences of the best few passages are embedded with the model that embedded the question. Two signs tell whether
the nearest answers: how much nearer its passage is than the other passages, and how much nearer it is than the other
sentences. Both are ratios of distances, because embedders spread cosines differently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag_core.answering.base import Outcome, Question
from rag_core.answering.citations import Citation
from rag_core.answering.quoting import MIN_COMPARED, Sentence, candidates, citations, nearness
from rag_core.content.embedding import Vectors
from rag_core.retrieval.search import STOPWORDS

KNOWN = 0.1
"""Part of the question's words up to which the passages count as being in another language."""
MAX_PASSAGES = 3
MAX_CANDIDATES = 24
"""Sentences embedded at most for one question: some 10 ms of a core each."""
RANK_WEIGHT = 0.02
"""What the first passage is preferred by, in cosine."""
MARGIN = 0.015
"""A further sentence is quoted when its score is less than this below the best one's."""

# Logistic regression over XQuAD's English questions on Chinese text and the reverse. The bias is
# half a unit stricter than the fit: a wrong answer in another language is harder to notice.
WEIGHTS = (10.2, 8.8)
BIAS = -2.8
SURE: Final = 0.5
"""Log odds above the threshold from which the sentences are an answer; below it they are the closest passages."""
ENGLISH: Final = 0.2
"""Share of function words from which a text is English."""
CHINESE: Final = 0.3
"""Share of letters from which a text is Chinese, names and commands in Latin letters among it."""
MAX_ALPHABETIC: Final = "\u2fff"
MIN_WORDS: Final = 4
_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Quoted:
    """The sentences nearest in meaning, and whether they are an answer or the closest passages."""

    citations: tuple[Citation, ...]
    outcome: Outcome


def other_language(question: str, texts: Sequence[str]) -> bool:
    """Whether a question is in another language than the texts, as far as script and English function words show.

    A question of a few words could be in any language; it counts as being in that of the texts.
    """
    text = "\n".join(texts)
    if _is_chinese(question) or _is_chinese(text):
        return _is_chinese(question) != _is_chinese(text)
    return len(_WORD.findall(question)) >= MIN_WORDS and _is_english(question) != _is_english(text)


def _is_chinese(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return sum(char > MAX_ALPHABETIC for char in letters) >= CHINESE * len(letters) > 0


def _is_english(text: str) -> bool:
    words = _WORD.findall(text.casefold())
    return sum(word in STOPWORDS for word in words) >= ENGLISH * len(words)


async def compose(question: Question, threshold: float = 0.0) -> Quoted | None:
    """The sentences nearest in meaning; `None` when they do not seem to answer or cannot be compared.

    Raises what `question.embed` raises.
    """
    if question.embed is None or question.vector is None:
        return None
    spans, texts = [], []
    for span in candidates(question, passages=MAX_PASSAGES, limit=MAX_CANDIDATES):
        text = question.hits[span[0]].payload.text[span[1] : span[2]]
        # A model finds any sentence of the question's own language near, whatever it says; words have judged those.
        if other_language(question.text, [text]):
            spans.append(span)
            texts.append(text)
    if len(spans) < MIN_COMPARED:
        return None
    vectors = await question.embed(texts)
    cosines = vectors @ question.vector
    near, apart = _passage_nearness(question), _apart(cosines)
    odds = WEIGHTS[0] * near + WEIGHTS[1] * apart + BIAS - threshold
    if odds <= 0:
        return None
    scores = [float(cosine) - RANK_WEIGHT * span[0] / MAX_PASSAGES for cosine, span in zip(cosines, spans, strict=True)]
    ranked = [
        Sentence(*span, score) for score, span in sorted(zip(scores, spans, strict=True), key=lambda one: -one[0])
    ]
    cited = citations(question.hits, ranked, at_least=ranked[0].score - MARGIN)
    return Quoted(cited, Outcome.ANSWERED if odds > SURE else Outcome.CLOSEST_PASSAGES)


def _passage_nearness(question: Question) -> float:
    """Nearness of the passage that is nearest to the question."""
    retrieved = question.hits + question.contrast
    return max(nearness(retrieved, rank) for rank in range(len(retrieved)))


def _apart(cosines: Vectors) -> float:
    """How much nearer the best sentence is than the average one: the ratio of their distances, minus one."""
    return float((1 - cosines.mean()) / max(1 - cosines.max(), 1e-3) - 1)
