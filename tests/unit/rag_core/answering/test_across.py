"""A question in another language than the documents is answered by meaning, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rag_core.answering import Abstained, Answered, Outcome, Question, across
from rag_core.answering.extractive import decide
from rag_core.content.embedding import Vectors
from tests.support.hits import hit

LEAVE = "公司手册。育儿假为十六周。未使用的假期在三月底失效。"
OFFICE = "办公室九点开门。请按两次门铃。"
ASKED = np.array([1, 0], np.float32)


class Meanings:
    """Embeds sentences: the ones named lie near the question, the others far from it."""

    def __init__(self, *near: str) -> None:
        self.near = near
        self.asked: list[str] = []

    async def __call__(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        cosines = [0.93 if any(part in text for part in self.near) else 0.82 for text in texts]
        return np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], np.float32)


def question(text: str, embed: Meanings, *, dense: float = 0.91) -> Question:
    hits = (hit(LEAVE, start=100, score=1.0, dense=dense), hit(OFFICE, score=0.3, dense=0.82))
    return Question(text, hits, ASKED, contrast=(hit("工资每年六月审核。", score=0.1, dense=0.82),), embed=embed)


async def test_the_sentence_nearest_in_meaning_is_cited_in_document_coordinates() -> None:
    quoted = await across.compose(question("How long is parental leave?", Meanings("育儿假")))
    assert quoted is not None
    (citation,) = quoted.citations

    assert quoted.outcome is Outcome.ANSWERED
    assert (citation.rank, citation.quote) == (0, "育儿假为十六周。")
    assert (citation.start, citation.end) == (105, 113)


async def test_what_is_no_nearer_than_the_rest_does_not_answer() -> None:
    everything = Meanings("")

    assert await across.compose(question("How long is parental leave?", everything, dense=0.82)) is None
    assert len(everything.asked) == 5


@pytest.mark.parametrize("missing", ["vector", "embed"])
async def test_without_a_model_a_question_in_another_language_is_not_answered(missing: str) -> None:
    asked = question("How long is parental leave?", Meanings("育儿假"))
    without = replace(asked, vector=None) if missing == "vector" else replace(asked, embed=None)

    assert await across.compose(without) is None


async def test_no_more_sentences_are_embedded_than_the_limit() -> None:
    many = Meanings()
    hits = (hit("很长的一段文字。" * 100, dense=0.9),) * 3
    await across.compose(Question("How long is parental leave?", hits, ASKED, embed=many))

    assert len(many.asked) == across.MAX_CANDIDATES


async def test_what_is_barely_near_enough_is_shown_as_the_closest_passages() -> None:
    asked = question("How long is parental leave?", Meanings("育儿假"))
    sure = await across.compose(asked)
    steps = (await across.compose(asked, threshold=step / 4) for step in range(1, 80))
    outcomes = [quoted.outcome if quoted else None async for quoted in steps]

    assert sure is not None
    assert list(dict.fromkeys(outcomes)) == [Outcome.ANSWERED, Outcome.CLOSEST_PASSAGES, None]


@pytest.mark.parametrize(
    ("asked", "text", "other"),
    [
        ("How long is parental leave?", LEAVE, True),
        ("育儿假有多长？", LEAVE, False),
        ("育儿假有多长？", "Parental leave lasts for sixteen weeks, and it is paid in full.", True),
        ("What is the capital of France?", "Pumps need oil every week, and it is on the shelf.", False),
        ("Wie viele Wochen dauert Elternzeit?", "Pumps need oil every week, and it is on the shelf.", True),
        ("RAG_PORT 是什么？", "服务的端口由 RAG_PORT 决定，默认值为 8080。", False),
        ("salesforce connector", "Pumps need oil every week, and it is on the shelf.", False),
    ],
)
def test_another_language_is_known_by_script_and_function_words(asked: str, text: str, *, other: bool) -> None:
    assert across.other_language(asked, [text]) is other


async def test_a_question_in_the_language_of_the_documents_is_not_answered_by_meaning_alone() -> None:
    text = "Pumps need oil every week. The shelf is blue. It is in the cellar."
    hits = (hit(text, score=1.0, dense=0.91), hit("The office is open at nine.", score=0.3, dense=0.82))
    asked = Question("What is the capital of France?", hits, ASKED, embed=Meanings("oil"))
    outcome = await decide(asked)

    assert isinstance(outcome, Abstained) or outcome.outcome is Outcome.CLOSEST_PASSAGES


async def test_a_question_in_another_language_is_answered_by_meaning() -> None:
    outcome = await decide(question("How long is parental leave?", Meanings("育儿假")))

    assert isinstance(outcome, Answered)
    assert outcome.outcome is Outcome.ANSWERED
    assert outcome.citations[0].quote == "育儿假为十六周。"
