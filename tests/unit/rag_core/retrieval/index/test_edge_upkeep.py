"""Search graphs are built behind the requests when an embedded index has grown."""

from __future__ import annotations

import threading
from typing import cast

from rag_core.retrieval.engines.edge import EdgeIndex, background_optimizer
from rag_core.retrieval.engines.edge.optimizer import BackgroundOptimizer
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from rag_core.settings import Settings
from tests.support.index_points import SPEC, ask, document, filled

LEAST = 100


def write(index: EdgeIndex, first: int, count: int) -> None:
    index.apply("g1", [document(str(n), [f"text number {n}"]) for n in range(first, first + count)])


def test_a_generation_is_optimized_when_it_has_grown_and_not_again_for_what_the_engine_left(index: EdgeIndex) -> None:
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(LEAST - 1)))
    upkeep = BackgroundOptimizer(index, least=LEAST)
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


class Scripted:
    """An index of one generation, of which a test says how many points there are and how many have no graph."""

    def __init__(self) -> None:
        self.points = self.bare = 0
        self.old = False

    def generations(self) -> list[GenerationSpec]:
        return [SPEC]

    def count(self, generation: str) -> int:
        return self.points

    def points_without_graph(self, generation: str) -> int:
        return self.bare

    def has_old_graph(self, generation: str) -> bool:
        return self.old

    def optimize(self, generation: str) -> None:
        self.bare, self.old = 0, False


def test_while_much_is_written_a_graph_waits_until_it_is_quiet() -> None:
    scripted = Scripted()
    upkeep = BackgroundOptimizer(cast("EdgeIndex", scripted), least=LEAST)
    scripted.points, scripted.bare = 10 * LEAST, 3 * LEAST
    assert upkeep.run_once() == []
    scripted.points, scripted.bare = 11 * LEAST, 4 * LEAST
    assert upkeep.run_once() == [], "still being written"
    assert upkeep.run_once() == ["g1"]
    scripted.points, scripted.bare = 30 * LEAST, 19 * LEAST
    assert upkeep.run_once() == ["g1"], "most points are without a graph"


def test_a_graph_of_other_settings_is_replaced_once() -> None:
    scripted = Scripted()
    upkeep = BackgroundOptimizer(cast("EdgeIndex", scripted), least=LEAST)
    scripted.points = scripted.bare = LEAST - 1
    scripted.old = True
    assert (upkeep.run_once(), upkeep.run_once()) == ([], []), "there is no graph to replace"
    scripted.bare = 0
    assert (upkeep.run_once(), upkeep.run_once()) == (["g1"], [])


def test_only_an_index_of_this_process_is_looked_after_and_only_if_wanted(index: EdgeIndex) -> None:
    def threads(kept: VectorIndex, points: int) -> int:
        with background_optimizer(kept, Settings(index_optimize_points=points)):
            return sum(thread.name == "index-upkeep" for thread in threading.enumerate())

    assert threads(cast("VectorIndex", Scripted()), LEAST) == 0
    assert threads(index, 0) == 0
    assert threads(index, LEAST) == 1
