"""The extractive answerer quotes what answers, cites exactly, and abstains when nothing does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_core.answering import Abstained, Abstention, Answered, Delta, Question
from rag_core.answering.base import cite
from rag_core.answering.extractive import ExtractiveAnswerer, compose
from rag_core.answering.quoting import NEUTRAL_NEARNESS, display, nearness
from tests.support.hits import hit

LEAVE = "The handbook has rules. Parental leave lasts 16 weeks. It is paid in full."
OFFICE = "The office in Lisbon opens at nine. Ring the bell twice."
PAY = "Salaries are reviewed every June by the board."


def question(text: str) -> Question:
    hits = (
        hit(LEAVE, start=100, score=1.0, dense=0.9),
        hit(OFFICE, score=0.3, dense=0.8),
        hit(PAY, score=0.2, dense=0.8),
    )
    return Question(text, hits)


async def events(asked: Question) -> list[object]:
    return [event async for event in ExtractiveAnswerer().answer(asked)]


def test_the_sentence_that_covers_the_question_is_cited_in_document_coordinates() -> None:
    outcome = compose(question("How long does parental leave last?"))
    assert isinstance(outcome, Answered)
    best = outcome.citations[0]
    assert (best.number, best.rank, best.quote) == (1, 0, "Parental leave lasts 16 weeks.")
    assert (best.start, best.end) == (100 + LEAVE.index("Parental"), 100 + LEAVE.index(" It is"))


async def test_the_answer_is_text_with_markers_then_one_final() -> None:
    got = await events(question("How long does parental leave last?"))
    assert got[0] == Delta("Parental leave lasts 16 weeks. [1]")
    assert [isinstance(event, Answered) for event in got] == [False] * (len(got) - 1) + [True]


def test_chinese_questions_find_chinese_sentences() -> None:
    text = "公司手册。年假为每年二十五天。未使用的假期在三月底失效。"
    asked = Question("年假每年有多少天？", (hit(text, dense=0.9), hit("办公室九点开门。", score=0.2, dense=0.8)))
    outcome = compose(asked)
    assert isinstance(outcome, Answered)
    assert outcome.citations[0].quote == "年假为每年二十五天。"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("How long does parental leave last?", "How long does parental leave last? Parental leave lasts 16 weeks."),
        (
            "How long does parental leave last?",
            '$ ask "how long does  parental leave last?"\n\nParental leave lasts 16 weeks.',
        ),
        ("年假每年有多少天？", "年假每年有多少天？年假为每年二十五天。"),
        ("parental leave: how long?", 'How long does "parental leave" last? Parental leave lasts 16 weeks.'),
        ("年假有多少天", '$ ask "每年的年假有多少天？"\n\n年假为每年二十五天。'),
    ],
)
def test_a_sentence_that_asks_is_no_answer(asked: str, said: str) -> None:
    outcome = compose(Question(asked, (hit(said, dense=0.9), hit(OFFICE, score=0.2, dense=0.8))))
    assert isinstance(outcome, Answered)
    assert [citation.quote for citation in outcome.citations] in (
        ["Parental leave lasts 16 weeks."],
        ["年假为每年二十五天。"],
    )


def test_nothing_found_and_nothing_supported_are_reported_apart() -> None:
    assert compose(Question("anything", ())) == Abstained(Abstention.NO_RESULTS)
    assert compose(question("Who won the football cup in 1966?")) == Abstained(Abstention.NOT_SUPPORTED)


async def test_an_abstention_comes_without_text() -> None:
    assert await events(question("Who won the football cup in 1966?")) == [Abstained(Abstention.NOT_SUPPORTED)]


def test_a_higher_threshold_abstains_more() -> None:
    assert isinstance(compose(question("How long does parental leave last?"), threshold=100), Abstained)


def test_the_same_sentence_of_two_documents_is_shown_once() -> None:
    outcome = compose(
        Question(
            "How long does parental leave last?", (hit(LEAVE, dense=0.9), hit(LEAVE, dense=0.9), hit(PAY, dense=0.7))
        )
    )
    assert isinstance(outcome, Answered)
    quotes = [citation.quote for citation in outcome.citations]
    assert len(quotes) == len(set(quotes))


@pytest.mark.parametrize(
    ("asked", "said", "again"),
    [
        (
            "How long does parental leave last?",
            "Parental leave lasts 16 weeks.",
            'data: {"delta": {"text": "Parental leave lasts 16 weeks. [1]"}}',
        ),
        ("年假每年有多少天？", "年假为每年二十五天。", "文档示例：“年假为每年二十五天”。"),
    ],
)
def test_a_statement_is_not_repeated_with_the_example_that_quotes_it(asked: str, said: str, again: str) -> None:
    hits = (hit(said, dense=0.9), hit(again, dense=0.9), hit(OFFICE, score=0.2, dense=0.7))
    outcome = compose(Question(asked, hits))
    assert isinstance(outcome, Answered)
    assert [citation.quote for citation in outcome.citations] == [said]


def test_a_heading_does_not_keep_the_sentence_that_begins_with_it_away() -> None:
    hits = (hit("Parental leave", score=1.0, dense=0.9), hit(LEAVE, dense=0.9), hit(OFFICE, score=0.2, dense=0.7))
    outcome = compose(Question("parental leave", hits))
    assert isinstance(outcome, Answered)
    assert any("16 weeks" in citation.quote for citation in outcome.citations)


@pytest.mark.catalogue("S14")
def test_text_of_a_document_cannot_fake_a_marker_or_hide_characters() -> None:
    shown = display("Parental leave [7] lasts\n\u202e16\u200b [1, 2] weeks\x00.")
    assert shown == "Parental leave lasts 16 weeks."


def test_nearness_is_neutral_without_dense_scores() -> None:
    assert nearness((hit("a"), hit("b")), 0) == NEUTRAL_NEARNESS == nearness((hit("a", dense=0.9),), 0)
    near, far = hit("a", dense=0.9), hit("b", dense=0.8)
    assert nearness((near, far, far), 0) > NEUTRAL_NEARNESS > nearness((near, far, far), 1)


def test_hits_after_the_asked_for_ones_are_compared_with_but_never_quoted() -> None:
    asked = question("How long does parental leave last?")
    narrow = Question(asked.text, asked.hits[:1], contrast=asked.hits[1:])
    assert compose(narrow) == compose(asked)
    hidden = compose(Question(asked.text, asked.hits[1:], contrast=asked.hits[:1]))
    assert not (isinstance(hidden, Answered) and any("Parental" in citation.quote for citation in hidden.citations))


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (0, 1000)])
def test_a_span_outside_of_the_passage_cannot_be_cited(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not within the passage"):
        cite(hit("text"), number=1, rank=0, start=start, end=end)


WORDS = st.sampled_from(
    [
        "parental",
        "leave",
        "lasts",
        "16",
        "weeks.",
        "年假",
        "多少天",
        "。",
        "\n\n",
        "[1]",
        "\u202e",
        "Dr.",
        "bell",
        "?",
        "、",
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=40).map(" ".join) | st.text(min_size=1, max_size=120)


@settings(deadline=None)  # a busy machine is not a failure
@given(st.lists(st.tuples(TEXTS, st.integers(0, 10_000), st.none() | st.floats(0, 1)), max_size=6), TEXTS)
def test_every_citation_equals_its_span_of_the_document(parts: list[tuple[str, int, float | None]], asked: str) -> None:
    hits = tuple(hit(text, start=start, dense=dense) for text, start, dense in parts)
    outcome = compose(Question(asked, hits), threshold=-100)
    if isinstance(outcome, Abstained):
        return
    assert [citation.number for citation in outcome.citations] == list(range(1, len(outcome.citations) + 1))
    for citation in outcome.citations:
        payload = hits[citation.rank].payload
        document = "\0" * payload.start + payload.text
        assert document[citation.start : citation.end] == citation.quote != ""
