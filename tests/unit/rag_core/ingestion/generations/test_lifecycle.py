from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

import pytest

from rag_core.errors import Conflict, NotFound, RagError, Reason, Unavailable
from rag_core.ingestion.generations import replica_store as replicas
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.promotion import (
    build,
    declare,
    evaluate,
    promote,
    promote_successor,
    retire,
    retire_expired,
    rollback,
)
from rag_core.ingestion.promotion.golden import GoldenSet
from rag_core.ingestion.verify import verify
from ragctl.local_stack.counts import CountReader
from tests.support.generations import GenerationHarness, word_transforms
from tests.unit.rag_core.ingestion.generations.conftest import TOPICS, manual


def made(plant: GenerationHarness, *, promoted: bool = False, **generation_config: Any) -> str:
    """A second generation, built."""
    transforms = word_transforms(**(generation_config or {"version": "2"}))
    row = declare(plant.pipeline.store, plant.pipeline.index, transforms, actor="ann", reason="a better model")
    report = build(plant.pipeline.store, plant.pipeline.index, transforms, row.name, plant.pipeline.settings)
    assert report.state == "ready"
    return row.name


def still_building(plant: GenerationHarness, name: str) -> None:
    """As if the build were still at other shards: what it holds already must follow."""
    with plant.pipeline.store.engine.begin() as connection:
        generations.change(connection, name, state="building")


def clean(plant: GenerationHarness, name: str) -> bool:
    report = verify(plant.pipeline.store, plant.pipeline.index, name)
    return report.clean or pytest.fail(f"{report.totals} {report.findings[:3]}")


def refused(call: Any) -> Reason:
    with pytest.raises(RagError) as caught:
        call()
    return caught.value.reason


def test_a_generation_is_built_behind_judged_promoted_and_rolled_back(
    plant: GenerationHarness, questions: GoldenSet
) -> None:
    flow = plant.pipeline
    old = str(flow.index.alias())
    new = made(plant)
    assert flow.index.alias() == old
    with flow.store.engine.connect() as connection:
        totals = generations.document_totals(connection)
    assert totals == dict.fromkeys((old, new), generations.DocumentTotals(len(TOPICS), 0))
    evaluation = evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions])
    assert evaluation.passed, evaluation
    moved = promote(flow.store, flow.index, new, flow.settings, actor="ann", reason="better answers")
    assert (moved.active, moved.before, flow.index.alias()) == (new, old, new)
    assert (plant.row(old).state, plant.row(new).state) == ("ready", "active")
    back = rollback(flow.store, flow.index, flow.settings, actor="ann", reason="users complain")
    assert (flow.index.alias(), back.active) == (old, old)
    assert back.seconds < 5
    assert clean(plant, old)
    assert clean(plant, new)
    audited = flow.all("SELECT action, details ->> 'reason' AS reason FROM rag.audit WHERE actor = 'ann' ORDER BY id")
    assert [(row.action, row.reason) for row in audited] == [
        ("index.build", "a better model"),
        ("index.promote", "better answers"),
        ("index.rollback", "users complain"),
    ]


def test_changes_deletions_and_permissions_reach_every_generation_while_one_is_building(
    plant: GenerationHarness,
) -> None:
    flow = plant.pipeline
    transforms = word_transforms(version="2", tokens=40)
    row = declare(flow.store, flow.index, transforms, actor="ann")
    (shard,) = {(flow.source.tenant, flow.source.name, 0)}
    build(flow.store, flow.index, transforms, row.name, flow.settings, shards=[shard])
    still_building(plant, row.name)
    flow.connector.put("pump.txt", manual("pump", "It was painted blue."))
    flow.connector.put("valve.txt", manual("valve"), acl=("group:plumbers",))
    del flow.connector.items["crane.txt"]
    flow.connector.put("new.txt", manual("winch"))
    assert plant.run().balanced
    texts = plant.texts(row.name)
    assert any("painted blue" in text for text in texts)
    assert not any("crane" in text for text in texts)
    assert plant.acls(row.name, "valve.txt") == {("group:plumbers",)}
    assert not any("winch" in text for text in texts), "documents the build has not come to are its own work"
    rest = build(flow.store, flow.index, transforms, row.name, flow.settings)
    again = build(flow.store, flow.index, transforms, row.name, flow.settings)
    assert (rest.state, rest.total, again.documents, again.total) == ("ready", len(TOPICS), 0, len(TOPICS))
    assert rest.documents < rest.total, "other calls applied some"
    assert clean(plant, row.name)
    assert clean(plant, str(flow.index.alias()))


def test_an_ingest_is_counted_in_the_generation_that_searches_read(plant: GenerationHarness) -> None:
    flow = plant.pipeline
    points = flow.index.count(str(flow.index.alias()))
    made(plant, version="2", tokens=12)
    with closing(CountReader(flow.settings)) as counts:
        counts.refresh([flow.source.tenant])
        line = counts.result(flow.source.tenant, flow.source.name, "SUCCESS")
        done, what = counts.progress(flow.source.tenant, flow.source.name)
    assert (done, what) == (len(TOPICS), "documents; up to date"), "nothing is embedded: nothing is said of it"
    assert line == f"{len(TOPICS)} documents, {points} chunks"


def test_a_rollback_loses_nothing_that_arrived_in_between(plant: GenerationHarness, questions: GoldenSet) -> None:
    flow = plant.pipeline
    old = str(flow.index.alias())
    new = made(plant)
    evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions])
    promote(flow.store, flow.index, new, flow.settings, actor="ann")
    flow.connector.put("pump.txt", manual("pump", "It was painted green."))
    del flow.connector.items["valve.txt"]
    assert plant.run().balanced
    rollback(flow.store, flow.index, flow.settings, actor="ann")
    assert any("painted green" in text for text in plant.texts(old))
    assert not any("valve" in text for text in plant.texts(old))
    assert clean(plant, old)


def test_a_generation_that_was_never_judged_or_failed_needs_an_override_with_a_reason(plant: GenerationHarness) -> None:
    flow = plant.pipeline
    new = made(plant)
    unjudged = lambda: promote(flow.store, flow.index, new, flow.settings, actor="ann")  # noqa: E731
    assert refused(unjudged) is Reason.GENERATION_REFUSED
    evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[])
    with pytest.raises(Conflict, match="golden questions") as caught:
        promote(flow.store, flow.index, new, flow.settings, actor="ann")
    assert caught.value.reason is Reason.GENERATION_REFUSED
    promote(flow.store, flow.index, new, flow.settings, actor="ann", override="a demo")
    assert flow.index.alias() == new
    kept = flow.one("SELECT details FROM rag.audit WHERE action = 'index.promote' AND actor = 'ann'").details
    assert kept["override"] == "a demo"
    assert "golden questions" in kept["refused"]


def test_other_settings_do_not_start_a_build_and_the_old_generation_is_still_computed(plant: GenerationHarness) -> None:
    flow = plant.pipeline
    old = str(flow.index.alias())
    other = GenerationHarness(flow, word_transforms(version="3"))
    other.runs = 10
    flow.connector.put("pump.txt", manual("pump", "It was painted red."))
    assert other.run().balanced
    assert [row.name for row in flow.all("SELECT name FROM rag.generations")] == [old]
    assert any("painted red" in text for text in plant.texts(old))
    assert clean(plant, old)


def test_a_generation_whose_model_is_gone_still_gets_deletions_and_a_successor_is_declared(
    plant: GenerationHarness,
) -> None:
    flow = plant.pipeline
    old = str(flow.index.alias())
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE rag.generations SET settings = settings || '{"embed_model": "gone"}'""")
    plant = GenerationHarness(flow, word_transforms(version="9"))
    plant.runs = 10
    del flow.connector.items["crane.txt"]
    flow.connector.put("pump.txt", manual("pump", "It was painted red."))
    assert plant.run().balanced
    assert plant.run().balanced
    states = {row.name: row.state for row in flow.all("SELECT name, state FROM rag.generations")}
    assert states.pop(old) == "active"
    assert list(states.values()) == ["building"]
    assert plant.row(old).not_reproducible
    assert not any("crane" in text for text in plant.texts(old))
    (new,) = states
    build(flow.store, flow.index, plant.own, new, flow.settings)
    assert clean(plant, new)


def frozen_with_successor(plant: GenerationHarness) -> tuple[GenerationHarness, str, str]:
    """The plant of a later release, its generation that cannot be computed any more, and the built successor."""
    flow = plant.pipeline
    old = str(flow.index.alias())
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE rag.generations SET settings = settings || '{"embed_model": "gone"}'""")
    later = GenerationHarness(flow, word_transforms(version="9"))
    later.runs = 10
    later.run()
    (new,) = (row.name for row in flow.all("SELECT name FROM rag.generations WHERE state = 'building'"))
    build(flow.store, flow.index, later.own, new, flow.settings)
    return later, old, new


def test_the_successor_of_a_generation_that_cannot_be_computed_is_promoted_without_golden_questions(
    plant: GenerationHarness,
) -> None:
    later, old, new = frozen_with_successor(plant)
    flow, registry = later.pipeline, later.transform_registry
    assert not evaluate(flow.store, flow.index, registry, new, flow.settings, golden=[]).passed
    off = flow.settings.model_copy(update={"promote_successors": False})
    assert promote_successor(flow.store, flow.index, new, off, actor="ann") is None
    moved = promote_successor(flow.store, flow.index, new, flow.settings, actor="ann")
    assert moved is not None
    assert (moved.before, moved.active, flow.index.alias()) == (old, new, new)
    entry, *_ = flow.all("SELECT details FROM rag.audit WHERE action = 'index.promote' ORDER BY id DESC")
    assert entry.details["reason"] == f"{old} cannot be computed any more"
    assert entry.details["refused"].startswith("retrieval: only 0 golden questions")
    rollback(flow.store, flow.index, flow.settings, actor="ann")
    assert promote_successor(flow.store, flow.index, new, flow.settings, actor="ann") is None, "an operator left it"


@pytest.mark.parametrize(("name", "figures"), [("retrieval", {"questions": 11}), ("coverage", {})])
def test_a_successor_that_the_gate_refuses_is_not_promoted(
    plant: GenerationHarness, name: str, figures: dict[str, int]
) -> None:
    later, old, new = frozen_with_successor(plant)
    flow = later.pipeline
    evaluation = {"checks": [{"name": name, "passed": False, "detail": "worse", "figures": figures}]}
    with flow.store.engine.begin() as connection:
        generations.change(connection, new, evaluation=evaluation)
    assert promote_successor(flow.store, flow.index, new, flow.settings, actor="ann") is None
    assert flow.index.alias() == old


def test_a_successor_that_lost_points_since_the_gate_is_not_promoted(plant: GenerationHarness) -> None:
    later, old, new = frozen_with_successor(plant)
    flow = later.pipeline
    evaluate(flow.store, flow.index, later.transform_registry, new, flow.settings, golden=[])
    (point, *_), *_ = flow.index.scroll(new)
    flow.index.delete_points(new, [point.chunk_id])
    promoted = partial(promote_successor, flow.store, flow.index, new, flow.settings, actor="ann")
    assert refused(promoted) is Reason.GENERATION_REFUSED
    assert flow.index.alias() == old


def test_a_repeated_declaration_gives_the_same_row_and_another_kit_needs_another_name(plant: GenerationHarness) -> None:
    store, index = plant.pipeline.store, plant.pipeline.index
    first = declare(store, index, word_transforms(version="2"), name="two", actor="ann")
    assert declare(store, index, word_transforms(version="2"), name="two", actor="bob") == first
    assert first.actor == "ann"
    wrong = word_transforms(version="3")
    assert refused(lambda: declare(store, index, wrong, name="two", actor="ann")) is Reason.GENERATION_STATE
    same = plant.own
    assert refused(lambda: declare(store, index, same, actor="ann")) is Reason.GENERATION_STATE
    assert declare(store, index, same, name="again", actor="ann").state == "building"


def test_a_promotion_waits_for_every_living_query_server(plant: GenerationHarness, questions: GoldenSet) -> None:
    flow = plant.pipeline
    settings = flow.settings.model_copy(update={"promote_wait_seconds": 0})
    new = made(plant)
    evaluate(flow.store, flow.index, plant.transform_registry, new, settings, golden=[questions])
    with flow.store.engine.begin() as connection:
        replicas.report(connection, "one", [plant.row(new).embedder, "x"])
        replicas.report(connection, "two", ["x"])
    with pytest.raises(Conflict, match="two") as caught:
        promote(flow.store, flow.index, new, settings, actor="ann")
    assert caught.value.reason is Reason.REPLICA_UNPREPARED
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.query_replicas SET seen_at = now() - interval '1 minute'")
    promote(flow.store, flow.index, new, settings, actor="ann")
    assert flow.index.alias() == new


def test_a_generation_is_retired_after_its_grace_period_and_its_files_go(
    plant: GenerationHarness, questions: GoldenSet
) -> None:
    flow = plant.pipeline
    old = str(flow.index.alias())
    new = made(plant)
    evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions])
    promote(flow.store, flow.index, new, flow.settings, actor="ann")
    assert retire_expired(flow.store, flow.index) == []
    assert refused(lambda: retire(flow.store, flow.index, old, actor="ann")) is Reason.GENERATION_STATE
    assert refused(lambda: retire(flow.store, flow.index, new, actor="ann", now=True)) is Reason.GENERATION_STATE
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.generations SET keep_until = now() WHERE state = 'ready'")
    assert retire_expired(flow.store, flow.index) == [old]
    assert [spec.name for spec in flow.index.generations()] == [new]
    assert plant.row(old).state == "retired"
    back = lambda: rollback(flow.store, flow.index, flow.settings, actor="ann")  # noqa: E731
    assert refused(back) is Reason.GENERATION_STATE
    assert plant.run().balanced


def test_there_is_nothing_to_roll_back_to_at_first(plant: GenerationHarness) -> None:
    with pytest.raises(NotFound):
        rollback(plant.pipeline.store, plant.pipeline.index, plant.pipeline.settings, actor="ann")


def test_only_a_finished_generation_can_be_promoted_or_judged(plant: GenerationHarness) -> None:
    flow = plant.pipeline
    row = declare(flow.store, flow.index, word_transforms(version="2"), actor="ann")
    for call in (
        lambda: promote(flow.store, flow.index, row.name, flow.settings, actor="ann", override="now"),
        lambda: evaluate(flow.store, flow.index, plant.transform_registry, row.name, flow.settings),
    ):
        assert refused(call) is Reason.GENERATION_STATE


def test_a_model_that_is_away_delays_a_building_generation_and_not_the_live_one(
    plant: GenerationHarness, monkeypatch: Any
) -> None:
    flow = plant.pipeline
    new = made(plant)
    transforms = plant.transform_registry.for_generation(plant.row(new))

    def away(texts: Any) -> Any:
        raise Unavailable(Reason.EMBEDDER_UNAVAILABLE, "the endpoint is away")

    monkeypatch.setattr(transforms.embedder, "embed_passages", away)
    still_building(plant, new)
    flow.connector.put("pump.txt", manual("pump", "It was painted red."))
    assert plant.run().balanced
    assert flow.reports["embeddings"].counts["deferred"] == 1
    assert any("painted red" in text for text in plant.texts(str(flow.index.alias())))
    monkeypatch.undo()
    build(flow.store, flow.index, transforms, new, flow.settings)
    assert clean(plant, new)
    assert len(TOPICS) == flow.one("SELECT count(*) AS n FROM rag.documents").n


@pytest.mark.parametrize(
    "name",
    ["Green 2", "a" * 200_000, "поколение", "第二代", "a/b", "a:b", "A", "g\x00", " "],
    ids=lambda name: name[:9],
)
def test_a_name_that_no_index_can_have_is_refused_before_anything_is_written(
    plant: GenerationHarness, name: str
) -> None:
    flow = plant.pipeline
    kept = "SELECT (SELECT count(*) FROM rag.generations) AS rows, (SELECT count(*) FROM rag.audit) AS audit"
    before, held = flow.one(kept), flow.index.generations()
    call = lambda: declare(flow.store, flow.index, word_transforms(version="2"), name=name, actor="ann")  # noqa: E731
    assert refused(call) is Reason.FIELD_INVALID
    assert flow.one(kept) == before
    assert flow.index.generations() == held


def test_a_name_that_is_not_known_is_cut_in_the_answer(plant: GenerationHarness) -> None:
    with pytest.raises(NotFound) as caught:
        plant.row("a" * 200_000)
    assert len(caught.value.message) < 200


def test_an_outage_during_an_evaluation_is_no_verdict(
    plant: GenerationHarness, questions: GoldenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = plant.pipeline
    new = made(plant)
    with flow.store.engine.begin() as connection:
        generations.change(connection, new, evaluation_wanted_at=generations.func.now())

    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "away")

    monkeypatch.setattr(flow.index, "search", away)
    judge = lambda: evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions])  # noqa: E731
    assert refused(judge) is Reason.INDEX_UNAVAILABLE
    assert plant.row(new).evaluation is None
    assert plant.row(new).evaluation_wanted_at is not None, "it is judged again when the index is back"
    monkeypatch.undo()
    assert judge().passed
