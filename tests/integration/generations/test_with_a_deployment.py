"""A generation that goes with a deployment, on the real index: forth, and back to where readers were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_core.errors import Conflict
from rag_core.ingestion.promotion import build, declare, evaluate
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from ragctl.rollout.analysis import DefaultGenerations
from tests.support.generations import GenerationHarness, golden, word_transforms
from tests.support.pipeline import PipelineHarness

TOPICS = [f"topic{number:02}" for number in range(12)]


@pytest.fixture
def index(settings: Settings) -> Iterator[EdgeIndex]:
    """The index at the place the settings name, so that a process with these settings finds it."""
    settings.index_dir.parent.mkdir(parents=True, exist_ok=True)
    opened = EdgeIndex(settings.index_dir)
    yield opened
    opened.close()


def test_a_generation_is_promoted_and_taken_back_with_its_deployment(flow: PipelineHarness) -> None:
    plant = GenerationHarness(flow)
    for topic in TOPICS:
        flow.connector.put(f"{topic}.txt", f"The {topic} manual. The {topic} crew inspects it before noon.")
    assert plant.run().balanced
    old, transforms = str(flow.index.alias()), word_transforms(version="2")
    new = declare(flow.store, flow.index, transforms, actor="ann").name
    build(flow.store, flow.index, transforms, new, flow.settings)
    known = DefaultGenerations(flow.settings, flow.store)
    with pytest.raises(Conflict, match="GENERATION_REFUSED"):
        known.require(new)  # the gate never saw it
    questions = golden({f"which crew inspects {topic}": f"{topic}.txt" for topic in TOPICS})
    assert evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions]).passed
    known.require(new)
    flow.index.close()  # the folder has one owner at a time
    for _ in range(2):  # a deployer that died does it again
        known.promote(new, "ann")
        assert known.active() == new
    for _ in range(2):
        known.restore(new, old, "ann")
        assert known.active() == old
    index = open_index(flow.settings)
    assert index.alias() == old
    index.close()
