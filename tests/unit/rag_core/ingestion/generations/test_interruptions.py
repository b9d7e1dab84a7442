"""Each phase of a generation's life can end anywhere: run again, it comes to what it would have come to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rag_core import failpoints
from rag_core.errors import NotFound
from rag_core.ingestion.promotion import (
    GateEvaluation,
    build,
    declare,
    evaluate,
    promote,
    retire,
    retire_expired,
    rollback,
)
from rag_core.ingestion.promotion.golden import GoldenSet
from rag_core.ingestion.verify import verify
from tests.support.generations import GenerationHarness, word_transforms
from tests.unit.rag_core.ingestion.generations.conftest import manual

NEW = "new"


def interrupted(point: str, call: Callable[[], object]) -> None:
    failpoints.arm(f"{point}:1:raise")
    with pytest.raises(failpoints.FailpointReached):
        call()


def clean(plant: GenerationHarness, *names: str) -> bool:
    reports = [verify(plant.pipeline.store, plant.pipeline.index, name) for name in names]
    return all(report.clean for report in reports) or pytest.fail(f"{[report.totals for report in reports]}")


def built(plant: GenerationHarness) -> str:
    flow, transforms = plant.pipeline, word_transforms(version="2")
    declare(flow.store, flow.index, transforms, name=NEW, actor="ann")
    return build(flow.store, flow.index, transforms, NEW, flow.settings).state


def test_a_build_continues_wherever_it_ended(plant: GenerationHarness) -> None:
    old = str(plant.pipeline.index.alias())
    for point in ("after_embed_batch", "after_upsert", "before_mark_commit", "after_build_slice", "before_ready"):
        interrupted(point, lambda: built(plant))
        assert plant.row(NEW).state == "building", point
        assert clean(plant, old), point
    assert built(plant) == "ready"
    assert clean(plant, old, NEW)


@pytest.fixture
def ready(plant: GenerationHarness, questions: GoldenSet) -> GenerationHarness:
    """With a second generation that the gate passed, after its judgement was cut short once."""
    flow = plant.pipeline
    built(plant)

    def judge() -> GateEvaluation:
        return evaluate(flow.store, flow.index, plant.transform_registry, NEW, flow.settings, golden=[questions])

    interrupted("before_judgement_kept", judge)
    assert plant.row(NEW).evaluation is None
    assert judge().passed
    return plant


def test_a_promotion_and_a_rollback_continue_wherever_they_ended(ready: GenerationHarness) -> None:
    flow = ready.pipeline
    old = str(flow.index.alias())

    def forward() -> str:
        return promote(flow.store, flow.index, NEW, flow.settings, actor="ann").active

    def back() -> str:
        return rollback(flow.store, flow.index, flow.settings, actor="ann").active

    interrupted("after_promote_commit", forward)
    assert (ready.row(NEW).state, flow.index.alias()) == ("active", old), "the database is ahead"
    assert (forward(), flow.index.alias()) == (NEW, NEW)

    interrupted("after_promote_commit", back)
    assert (ready.row(old).state, flow.index.alias()) == ("active", NEW)
    assert (back(), flow.index.alias()) == (old, old), "the same command ends it and does not turn round"

    interrupted("after_alias_move", forward)
    assert (forward(), flow.index.alias()) == (NEW, NEW)
    interrupted("after_alias_move", back)
    with pytest.raises(NotFound, match=f"readers are on {old}"):
        back()
    assert flow.index.alias() == old
    assert clean(ready, old, NEW)


def test_the_next_runs_finish_what_ended_before_the_index_followed(ready: GenerationHarness) -> None:
    flow = ready.pipeline
    old = str(flow.index.alias())
    interrupted("after_promote_commit", lambda: promote(flow.store, flow.index, NEW, flow.settings, actor="ann"))
    flow.connector.put("pump.txt", manual("pump", "It was painted red."))
    assert ready.run().balanced
    assert flow.index.alias() == NEW
    assert clean(ready, NEW)

    end = lambda: retire(flow.store, flow.index, old, actor="ann", now=True)  # noqa: E731
    interrupted("after_retire_commit", end)
    interrupted("before_retire_drop", end)
    assert old in {spec.name for spec in flow.index.generations()}
    assert retire_expired(flow.store, flow.index) == [old]
    assert [spec.name for spec in flow.index.generations()] == [NEW]
    assert flow.one("SELECT count(*) AS n FROM rag.generation_documents WHERE generation = :name", name=old).n == 0
