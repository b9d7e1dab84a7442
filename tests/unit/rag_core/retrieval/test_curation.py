"""Which questions an editor's wording stands for."""

from __future__ import annotations

import pytest

from rag_core.retrieval.curation.base import ask_for_the_same, words_of


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How long is parental leave?", "What is the length of parental leave?", True),
        ("How long is parental leave?", "Who approves parental leave?", False),
        ("How long is parental leave?", "Is parental leave paid?", False),
        ("When was version 2.1 released?", "When was version 2.2 released?", False),
        ("When was 2.1 released?", "Since when is there 2.1?", True),
        ("年假有多少天？", "一年可以休几天年假？", True),
        ("谁批准差旅费用？", "差旅费用什么时候付？", False),
    ],
)
def test_other_numbers_and_other_kinds_of_question_are_other_questions(one: str, other: str, same: bool) -> None:
    assert ask_for_the_same(one, other) is same
    assert ask_for_the_same(other, one) is same


def test_case_punctuation_and_space_do_not_make_another_question() -> None:
    assert words_of("  How long is PARENTAL-leave?! ") == words_of("how long is parental leave")
