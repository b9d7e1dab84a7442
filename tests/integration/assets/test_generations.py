"""A generation's life as Dagster runs: the sensor asks for them, shards are built, the gate judges, readers move."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

import rag_assets.defs.generations.assets as assets
import rag_assets.defs.generations.jobs as jobs
from rag_assets.lib.generation_runs import ACTIVE, BUILD_JOB, FINISH_JOB, RETRY_SECONDS, report_promotion, requests
from rag_assets.resources import PIPELINE
from rag_core.ingestion.generations import changed
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.promotion import build, declare, promote
from tests.integration.assets.conftest import Chain
from tests.support.generations import write_set

TOPICS = ("pump", "valve", "boiler", "ladder", "crane", "forklift", "sensor", "turbine", "gasket", "filter", "hoist")


@pytest.fixture
def grown(chain: Chain) -> Chain:
    """Eleven manuals, ingested, with a golden set about them."""
    for topic in TOPICS:
        chain.write(f"{topic}.md", f"# The {topic}\n\nThe {topic} is oiled by the {topic} crew.\n\n" * 3)
    assert chain.run().success
    questions = {f"who oils the {topic}": f"{topic}.md" for topic in TOPICS}
    write_set(chain.settings.effective_golden_dir / "manuals", questions)
    return chain


class Location:
    """The definitions of generations over the chain's pipeline."""

    def __init__(self, chain: Chain) -> None:
        resources = {PIPELINE: dg.ResourceDefinition.hardcoded_resource(chain.pipeline)}
        self.chain = chain
        self.defs = dg.Definitions(
            assets=[assets.index_generation_shards, assets.index_generation, assets.active_index_generation],
            asset_checks=[assets.index_generation_gate],
            jobs=[
                jobs.generation_declare,
                jobs.generation_build,
                jobs.generation_finish,
                jobs.generation_promote,
                jobs.generation_rollback,
                jobs.generation_retire,
            ],
            resources=resources,
        )

    def execute(self, job: str, key: str | None = None, **options: Any) -> dg.ExecuteInProcessResult:
        wanted = self.defs.resolve_job_def(job)
        instance = self.chain.instance
        return wanted.execute_in_process(instance=instance, partition_key=key, raise_on_error=False, **options)

    def row(self, name: str) -> generations.Generation:
        with self.chain.pipeline.store.engine.connect() as connection:
            return generations.get(connection, name)


def _config(op: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {op: {"config": values}}}


def test_a_generation_is_built_judged_promoted_and_rolled_back_by_runs(grown: Chain) -> None:
    location, pipeline = Location(grown), grown.pipeline
    assert requests(pipeline, grown.instance) == []
    old, name = str(pipeline.index.alias()), "second"
    wanted = {"changes": {"embed_model": "2"}, "name": name, "reason": "a better model"}
    assert location.execute("generation_declare", run_config=_config("declare_generation", wanted)).success
    assert location.row(name).reason == "a better model"
    (build,) = requests(pipeline, grown.instance)
    assert (build.job_name, build.partition_key) == (BUILD_JOB, f"{name}:0:acme/handbook")
    assert location.execute(BUILD_JOB, build.partition_key).success
    assert location.row(name).state == "ready"
    (finish,) = requests(pipeline, grown.instance)
    assert (finish.job_name, finish.partition_key) == (FINISH_JOB, name)
    judged = location.execute(FINISH_JOB, name)
    checks = {check.check_name: check.passed for check in judged.get_asset_check_evaluations()}
    assert checks == dict.fromkeys(
        ("parity", "recall", "coverage", "vectors", "retrieval", "answers", "latency", "size"), True
    )
    assert judged.success
    (made,) = judged.asset_materializations_for_node("index_generation")
    assert made.metadata["reason"].value == "a better model"
    assert requests(pipeline, grown.instance) == []
    assert location.execute("generation_promote", name).success
    assert pipeline.index.alias() == name
    grown.write("pump.md", "# The pump\n\nIt was painted blue.\n")
    assert grown.run().success
    assert location.execute("generation_rollback").success
    assert pipeline.index.alias() == old
    retired = _config("retire_generation", {"generation": name, "now": True})
    assert location.execute("generation_retire", run_config=retired).success
    assert location.row(name).state == "retired"
    assert any("painted blue" in point.payload.text for page in pipeline.index.scroll(old) for point in page)


def test_the_first_generation_is_not_judged_while_it_is_made(chain: Chain) -> None:
    """It is a row before it is promoted, empty: a run that found it then would end as a failure of a new stack."""
    pipeline = chain.pipeline
    with pipeline.store.engine.begin() as connection:
        generations.change(connection, pipeline.ensure_generation(), state="building", promoted_at=None)
    assert requests(pipeline, chain.instance) == []


def test_a_promotion_outside_dagster_is_reported_once(grown: Chain) -> None:
    pipeline, instance = grown.pipeline, grown.instance
    assert not report_promotion(pipeline, instance), "the run reported it"
    transforms = pipeline.transform_registry.for_settings(changed(pipeline.settings, {"embed_model": "2"}))
    name = declare(pipeline.store, pipeline.index, transforms, actor="ann").name
    build(pipeline.store, pipeline.index, transforms, name, pipeline.settings)
    promote(pipeline.store, pipeline.index, name, pipeline.settings, actor="ann", override="a test")
    assert report_promotion(pipeline, instance)
    assert not report_promotion(pipeline, instance)
    latest = instance.get_latest_materialization_event(ACTIVE)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.partition == name


def test_a_generation_that_the_gate_refuses_fails_its_run_and_cannot_be_promoted(grown: Chain) -> None:
    location, pipeline = Location(grown), grown.pipeline
    worse = {"embed_query_prefix": "zq vx jk wy " * 60}
    transforms = pipeline.transform_registry.for_settings(changed(pipeline.settings, worse))
    name = declare(pipeline.store, pipeline.index, transforms, actor="ann").name
    grown.instance.add_dynamic_partitions("index_generations", [name])
    judged = location.execute(FINISH_JOB, name)
    assert not judged.success
    (failed,) = [check for check in judged.get_asset_check_evaluations() if not check.passed]
    assert failed.check_name == "retrieval"
    assert "worse than the active one" in str(failed.description)
    refused = location.execute("generation_promote", name)
    assert not refused.success
    config = _config("active_index_generation", {"override": "we know"})
    assert location.execute("generation_promote", name, run_config=config).success
    assert pipeline.index.alias() == name


def test_a_run_that_just_failed_is_left_alone_for_a_while(grown: Chain) -> None:
    pipeline, instance = grown.pipeline, grown.instance
    transforms = pipeline.transform_registry.for_settings(changed(pipeline.settings, {"embed_model": "2"}))
    declare(pipeline.store, pipeline.index, transforms, actor="ann")
    (wanted,) = requests(pipeline, instance)
    job = Location(grown).defs.resolve_job_def(BUILD_JOB)
    run = instance.create_run_for_job(job, tags={**wanted.tags, "dagster/partition": str(wanted.partition_key)})
    assert requests(pipeline, instance) == []
    instance.report_run_failed(run)
    ended = instance.get_run_record_by_id(run.run_id)
    assert ended is not None
    assert requests(pipeline, instance) == []
    assert len(requests(pipeline, instance, now=(ended.end_time or 0) + RETRY_SECONDS)) == 1
