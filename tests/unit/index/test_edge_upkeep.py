"""Search graphs are built behind the requests when an embedded index has grown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from rag_core.index.edge import EdgeIndex
from rag_core.index.upkeep import EdgeUpkeep
from tests.support.index_points import ask, document, filled
from tests.support.postgres import fast_folder

LEAST = 100


@pytest.fixture
def index() -> Iterator[EdgeIndex]:
    path = fast_folder()
    opened = EdgeIndex(path / "index")
    yield opened
    opened.close()
    shutil.rmtree(path)


def write(index: EdgeIndex, first: int, count: int) -> None:
    index.apply("g1", [document(str(n), [f"text number {n}"]) for n in range(first, first + count)])


def test_a_generation_is_optimized_when_it_has_grown_and_not_again_for_what_the_engine_left(index: EdgeIndex) -> None:
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(LEAST - 1)))
    upkeep = EdgeUpkeep(index, least=LEAST)
    assert upkeep.run_once() == [], "too little to be worth it"
    write(index, LEAST, LEAST)
    assert upkeep.run_once() == ["g1"]
    assert upkeep.run_once() == []
    write(index, 2 * LEAST, LEAST // 2)
    assert upkeep.run_once() == [], "little is new"
    write(index, 3 * LEAST, LEAST)
    assert upkeep.run_once() == ["g1"]
    assert ask(index, "number", limit=300)
    assert index.count("g1") == LEAST - 1 + LEAST + LEAST // 2 + LEAST
