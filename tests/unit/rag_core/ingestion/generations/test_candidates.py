"""Judged answers become golden questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_core.answering.evaluation import feedback_store as ratings
from rag_core.errors import InvalidInput, NotFound
from rag_core.ingestion.promotion import accept, candidates, load_golden
from tests.support.generations import GenerationHarness


def rate(plant: GenerationHarness, question: str, *cited: str, good: bool = True, right: str = "") -> int:
    citations = [{"doc_id": str(plant.pipeline.doc_id(locator)), "version": 1} for locator in cited]
    named = plant.pipeline.doc_id(right) if right else None
    judgement = ratings.Judgement(question, "an answer", good, "", "g", citations, named)
    with plant.pipeline.store.engine.begin() as connection:
        return ratings.add(connection, "acme", "ann", judgement).id


def test_a_judged_answer_is_taken_into_a_golden_set_once_and_asked_by_the_gate(
    plant: GenerationHarness, tmp_path: Path
) -> None:
    store, folder = plant.pipeline.store, tmp_path / "golden" / "console"
    good = rate(plant, "who inspects the pump?", "pump.txt", "pump.txt", "valve.txt")
    bad = rate(plant, "who inspects the crane?", "boiler.txt", good=False)
    gone = rate(plant, "who inspects the windmill?", "windmill.txt")
    listed = {one.id: one for one in candidates(store)}
    assert listed[good].documents == ("handbook/pump.txt", "handbook/valve.txt")
    assert (listed[gone].documents, listed[bad].documents, listed[bad].good) == ((), (), False)

    assert accept(store, folder, good)
    assert not accept(store, folder, good), "a second time changes nothing"
    assert accept(store, folder, bad, ["handbook/crane.txt"])
    assert accept(store, folder, rate(plant, "who inspects the valve?", "pump.txt", good=False, right="valve.txt"))
    with pytest.raises(InvalidInput, match="does not say where the answer is"):
        accept(store, folder, rate(plant, "where is the hoist?", "hoist.txt", good=False))
    with pytest.raises(InvalidInput, match="none of its documents"):
        accept(store, folder, gone)
    with pytest.raises(InvalidInput, match="no such document of this tenant: handbook/nowhere"):
        accept(store, folder, gone, ["handbook/nowhere.txt"])
    with pytest.raises(NotFound):
        accept(store, folder, 10**6)

    settings = plant.pipeline.settings.model_copy(update={"golden_dir": folder.parent})
    own = next(one for one in load_golden(settings) if one.dataset.name == "console")
    asked = {question.text: question.gains for question in own.bind(store).questions}
    assert asked == {
        "who inspects the pump?": {"handbook/pump.txt": 1, "handbook/valve.txt": 1},
        "who inspects the crane?": {"handbook/crane.txt": 1},
        "who inspects the valve?": {"handbook/valve.txt": 1},
    }
