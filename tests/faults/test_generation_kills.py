"""Every phase of a generation's life killed at random moments, with edits in between: run again, it converges."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from rag_core.database import open_store
from rag_core.errors import NotFound
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.promotion import build, declare, evaluate, promote, retire, rollback
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.crashing_run import SMALL_BATCHES, folder_connector
from tests.support.generations import GenerationHarness, golden, word_transforms
from tests.support.pipeline import PipelineHarness, prose
from tests.support.postgres import fast_folder
from tests.support.processes import context

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
DOCUMENTS = 40
KILLS = 4
NEW = "new"
LONGEST = {"run": 2.0, "build": 3.0, "judge": 2.0, "forward": 0.4, "back": 0.4, "retire": 0.3}
"""Seconds after its start within which a phase is killed; about what it takes."""


def _judge(plant: GenerationHarness) -> None:
    questions = golden({prose(number, 4).splitlines()[0]: f"{number}.txt" for number in range(12)})
    flow = plant.pipeline
    evaluate(flow.store, flow.index, plant.transform_registry, NEW, flow.settings, golden=[questions])


def _build(plant: GenerationHarness) -> None:
    flow, transforms = plant.pipeline, word_transforms(version="2")
    with flow.store.engine.connect() as connection:
        known = {row.name: row.state for row in generations.all_of(connection)}
    if known.get(NEW) != "ready":
        declare(flow.store, flow.index, transforms, name=NEW, actor="ann")
        build(flow.store, flow.index, transforms, NEW, flow.settings)


def _back(plant: GenerationHarness) -> None:
    try:
        rollback(plant.pipeline.store, plant.pipeline.index, plant.pipeline.settings, actor="ann")
    except NotFound:
        assert plant.pipeline.index.alias() != NEW, "it was done already"


def _forward(plant: GenerationHarness) -> None:
    flow = plant.pipeline
    promote(flow.store, flow.index, NEW, flow.settings, actor="ann", override="a loaded machine")


def _retire(plant: GenerationHarness) -> None:
    retire(plant.pipeline.store, plant.pipeline.index, NEW, actor="ann", now=True)


PHASES: dict[str, Callable[[GenerationHarness], object]] = {
    "run": GenerationHarness.run,
    "build": _build,
    "judge": _judge,
    "forward": _forward,
    "back": _back,
    "retire": _retire,
}


def _child(home: Path, database_url: str, folder: Path, phase: str, began: Event) -> None:
    settings = Settings.load(
        home=home, database_url=database_url, embedder="fake", build_slice_seconds=0.2, **SMALL_BATCHES
    )
    with Pipeline(settings) as pipeline:
        flow = PipelineHarness(
            pipeline.store, pipeline.index, pipeline.parser, settings, connector=folder_connector(folder)
        )
        plant = GenerationHarness(flow)
        plant.runs = time.monotonic_ns()
        began.set()
        PHASES[phase](plant)


class Harness:
    """A folder of documents, a database and an index folder that outlive every process."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.home, self.database_url = home, database_url
        self.folder = home / "documents"
        self.folder.mkdir()
        self.random = random.Random(20)
        self.killed = 0

    def write(self, number: int, seed: int) -> None:
        (self.folder / f"{number}.txt").write_text(prose(seed, 4))

    def until_done(self, phase: str) -> None:
        """Kill a phase a few times, then let it come to its end."""
        for _ in range(KILLS):
            self._start(phase, self.random.uniform(0, LONGEST[phase]))
        self._start(phase, None)

    def _start(self, phase: str, seconds: float | None) -> None:
        began = context.Event()
        child = context.Process(target=_child, args=(self.home, self.database_url, self.folder, phase, began))
        child.start()
        assert began.wait(60)
        child.join(seconds if seconds is not None else 120)
        if seconds is not None and child.is_alive():
            child.kill()
            child.join()
            self.killed += 1
        assert child.exitcode == 0 or (seconds is not None and child.exitcode == -signal.SIGKILL)

    def alias_when_clean(self, *names: str) -> str:
        """The generation readers are on, once every one of these is found to be what the rows say."""
        store, index = open_store(Settings.load(database_url=self.database_url)), EdgeIndex(self.home / "index")
        try:
            for name in names or [spec.name for spec in index.generations()]:
                report = verify(store, index, name)
                assert report.clean, (name, report.totals)
            return str(index.alias())
        finally:
            index.close()
            store.close()


@pytest.fixture
def world(database_url: str) -> Iterator[Harness]:
    home = fast_folder()
    made = Harness(home, database_url)
    for number in range(DOCUMENTS):
        made.write(number, number)
    yield made
    shutil.rmtree(home)


def test_random_kills_in_every_phase_leave_nothing_that_the_next_run_does_not_mend(world: Harness) -> None:
    world.until_done("run")
    old = world.alias_when_clean()
    world.until_done("build")
    world.until_done("judge")
    assert world.alias_when_clean(old, NEW) == old
    for step, (phase, readers) in enumerate([("forward", NEW), ("back", old), ("forward", NEW), ("back", old)]):
        world.until_done(phase)
        world.write(20 + step, 500 + step)
        world.write(100 + step, 600 + step)
        (world.folder / f"{30 + step}.txt").unlink()
        world.until_done("run")
        assert world.alias_when_clean(old, NEW) == readers, (step, phase)
    world.until_done("retire")
    assert world.alias_when_clean() == old
    assert world.killed > KILLS, "most were killed before their end"
