"""A passage that only points is replaced by what it points to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag_core.answering import Answered, Question, check_citations
from rag_core.answering.extractive import decide
from rag_core.answering.extractive.pointers import locators
from rag_core.retrieval.index import SearchHit
from tests.unit.rag_core.answering.quoted import Compares, corpus

POINTER = (
    "# Tasks\n\n- How do I drain the boiler? See [its page](care/boiler.md#drain).\n"
    "- Paint it: [colours](care/paint.md)\n"
)
BOILER = (
    "# Boiler\n\n## Drain the boiler\n\nOpen the lower valve and wait for an hour.\n\n## Paint\n\nNever paint it.\n"
)


@pytest.mark.parametrize(
    ("index", "target", "shown"),
    [
        (POINTER, BOILER, "Open the lower valve"),
        (POINTER, None, "- How do I drain the boiler? See its page"),
        (POINTER.replace("See", "Ask a trained plumber of the town for help first. See"), BOILER, "- How do I drain"),
    ],
    ids=["followed", "not indexed or not visible", "says something itself"],
)
async def test_a_passage_that_only_points_is_replaced_by_what_it_points_to(
    index: str, target: str | None, shown: str
) -> None:
    hits = corpus(index, "guide/tasks.md")
    searched: list[Sequence[str]] = []

    async def search(text: str, names: Sequence[str]) -> tuple[SearchHit, ...]:
        searched.append(names)
        return corpus(target, "guide/care/boiler.md", tokens=12) if target and names else ()

    near = Compares("drain the boiler", "Open the lower valve")
    outcome = await decide(Question("How do I drain the boiler?", hits, compare=near, search=search))
    assert isinstance(outcome, Answered)
    assert outcome.excerpts[0].text.startswith(shown)
    check_citations(outcome.citations, [*hits, *outcome.evidence])
    assert all("guide/care/boiler.md" in names for names in searched if names)


@pytest.mark.parametrize(
    ("target", "locator", "named"),
    [
        ("../ops/a%20b.md#x", "docs/how-to/c.md", "docs/ops/a b.md"),
        ("/leave", "people/c.md", "leave.md"),
        ("leave/", "people/c.md", "people/leave/index.html"),
        ("leave.html", "people/c.md", "people/leave.md"),
        ("leave?x=1#y", "https://a.example/people/c", "https://a.example/people/leave?x=1"),
        ("https://a.example/leave", "people/c.md", "https://a.example/leave"),
        ("../../../etc/passwd", "people/c.md", None),
        ("?only=query", "people/c.md", None),
    ],
)
def test_the_target_of_a_link_is_resolved_against_the_path_of_its_document(
    target: str, locator: str, named: str | None
) -> None:
    found = [*locators(target, locator)]
    assert (named in found) if named else not found
