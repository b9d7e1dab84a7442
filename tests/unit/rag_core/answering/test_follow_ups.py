"""What a question of a conversation is about, and which passages are preferred for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rag_core.answering import Answered, Question
from rag_core.answering.extractive import decide
from rag_core.retrieval.index import SearchHit
from tests.unit.rag_core.answering.quoted import Compares, corpus, highlighted

LEAVE = """# Handbook

## Parental leave

Parental leave lasts 16 weeks.

## Sick leave

Sick leave lasts as long as the doctor says.

## Laptops

Order a laptop from the desk. New ones arrive within nine days.
"""


async def test_the_new_noun_of_a_follow_up_outweighs_what_it_inherits() -> None:
    asked = "And sick leave? (long parental leave)"
    hits = corpus(LEAVE, tokens=12)
    outcome = await decide(Question(asked, hits, compare=Compares("leave lasts"), follow_up="And sick leave?"))
    assert isinstance(outcome, Answered)
    assert outcome.excerpts[0].heading_path == ("Handbook", "Sick leave")


async def test_what_a_follow_up_names_is_searched_by_itself() -> None:
    """A long question before it has many more words, which a search for both is drawn to."""
    hits = corpus("# 手册\n\n## 逻辑卷\n\n用命令创建一个逻辑卷。\n\n## 阵列\n\n磁盘阵列用另一个命令。\n", tokens=12)
    (volume,), (array,) = ([one for one in hits if word in one.payload.text] for word in ("创建", "磁盘"))
    volume = replace(volume, dense=0.95)

    async def search(text: str, locators: Sequence[str]) -> tuple[SearchHit, ...]:
        return (array,) if text == "磁盘阵列" else (volume,)

    asked = Question(
        "那磁盘阵列呢？（怎么用命令创建一个逻辑卷）",
        (volume, array),
        compare=Compares("一个"),
        search=search,
        follow_up="那磁盘阵列呢？",
        previous="手册 > 逻辑卷\n\n用命令创建一个逻辑卷。 [1]",
    )
    shown = await decide(asked)
    assert isinstance(shown, Answered)
    assert shown.excerpts[0].heading_path == ("手册", "阵列")


@pytest.mark.parametrize(("means", "read_as_continued"), [("Sick leave lasts", True), ("laptop from", False)])
async def test_the_nearer_reading_of_a_question_that_may_continue_another_is_answered(
    means: str, read_as_continued: bool
) -> None:
    hits = corpus(LEAVE, tokens=12)
    (laptop,) = (one for one in hits if "laptop" in one.payload.text)

    async def search(_text: str, _locators: Sequence[str]) -> tuple[SearchHit, ...]:
        return hits

    asked = Question(
        "Who orders new ones?",
        (laptop,),
        compare=Compares(means),
        search=search,
        previous="Handbook > Sick leave",
        perhaps="Who orders new ones? (sick leave)",
    )
    shown = await decide(asked)
    assert isinstance(shown, Answered)
    assert (shown.continued, shown.read_as) == (read_as_continued, "")
    assert (shown.excerpts[0].heading_path[-1] == "Sick leave") is read_as_continued


async def test_a_follow_up_is_answered_from_the_section_that_was_shown_before() -> None:
    hits = corpus(LEAVE, tokens=24)
    shown = next(one for one in hits if "laptop" in one.payload.text)
    searched: list[str] = []

    async def search(text: str, locators: Sequence[str]) -> tuple[SearchHit, ...]:
        searched.append(text)
        return (shown,)

    others = tuple(one for one in hits if one is not shown)
    outcome = await decide(
        Question(
            "How long until they arrive? (laptop)",
            others,
            compare=Compares("arrive within nine days"),
            search=search,
            follow_up="How long until they arrive?",
            previous="Handbook > Laptops\n\nOrder a laptop from the desk. New ones arrive within nine days. [1]",
        )
    )
    assert isinstance(outcome, Answered)
    assert "How long until they arrive? Handbook > Laptops" in searched
    assert highlighted(outcome) == ["New ones arrive within nine days."]
