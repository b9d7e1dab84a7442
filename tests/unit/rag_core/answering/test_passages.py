"""What an answer reads: never images, and around a hit no more than its budget."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from rag_core.answering import Answered, Question
from rag_core.answering.extractive import decide
from rag_core.answering.passages import nearest
from rag_core.retrieval.index import SearchHit
from tests.support.hits import hit
from tests.unit.rag_core.answering.test_extractive import ASKED, Meanings, corpus


def neighbour(ordinal: int, text: str = "word " * 20) -> SearchHit:
    one = hit(text)
    return replace(one, payload=replace(one.payload, doc_id=uuid.UUID(int=7), ordinal=ordinal))


def test_the_nearest_neighbours_are_read_within_the_budget() -> None:
    around = [neighbour(ordinal) for ordinal in (0, 2, 4, 5)]
    kept = nearest(around, [neighbour(3)], 200)
    assert [one.payload.ordinal for one in kept] == [2, 4]
    assert nearest(around, [neighbour(3)], 0) == ()
    assert len(nearest(around, [neighbour(3)], 10_000)) == 4


SOURCE = """---
tags: [quarantine, deadline of the quarantine is monday]
---
# Guide

![The deadline of the quarantine is on tuesday](x.png)

The deadline of the quarantine is on friday, when the store is emptied.
"""


@pytest.mark.parametrize("asked", ["When is the deadline of the quarantine?", "deadline of the quarantine"])
async def test_front_matter_is_not_read_and_images_are_never_quoted(asked: str) -> None:
    hits = corpus(SOURCE, "guide.md")
    assert "monday" not in hits[0].payload.text
    assert "tuesday" in hits[0].payload.text
    outcome = await decide(Question(asked, hits, ASKED, embed=Meanings("deadline")))
    assert isinstance(outcome, Answered)
    assert "friday" in outcome.markdown
    assert "tuesday" not in outcome.markdown + "".join(one.quote for one in outcome.citations)


async def test_a_description_that_was_cut_is_shown_under_its_term() -> None:
    described = "".join(
        f"<dd>It is kept for {n} days in the store of the house and then removed.</dd>" for n in range(6)
    )
    hits = corpus(f"<dl><dt>quarantine</dt>{described}</dl>", "words.html", tokens=30)
    rest = hits[-1]
    assert "quarantine" not in rest.payload.text
    outcome = await decide(Question("quarantine removed after 5 days", (rest,), ASKED, embed=Meanings("5 days")))
    assert isinstance(outcome, Answered)
    assert "**quarantine**: " in outcome.markdown
