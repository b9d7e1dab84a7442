"""The owners' questions as a Dagster asset with its check."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from rag_assets.defs.evaluation import assets, jobs
from rag_assets.defs.maintenance.assets import old_results
from rag_assets.resources import PIPELINE
from rag_core.answering.evaluation import run_store
from tests.integration.assets.conftest import Chain

TOPICS = ("pump", "valve", "boiler", "ladder", "crane", "forklift", "sensor", "turbine")


@pytest.fixture
def grown(chain: Chain) -> Chain:
    """Manuals of eight topics, ingested."""
    for topic in TOPICS:
        chain.write(f"{topic}.md", f"# The {topic}\n\nThe {topic} is oiled by the {topic} crew.\n\n" * 3)
    assert chain.run().success
    return chain


def ask(chain: Chain) -> dg.ExecuteInProcessResult:
    resources = {PIPELINE: dg.ResourceDefinition.hardcoded_resource(chain.pipeline)}
    defs = dg.Definitions(assets=[assets.answers, old_results], jobs=[jobs.evaluation_job], resources=resources)
    job = defs.resolve_job_def("evaluate_answers")
    return job.execute_in_process(instance=chain.instance, raise_on_error=False)


def test_answers_that_became_worse_fail_the_check_until_somebody_accepts_them(grown: Chain) -> None:
    [check] = ask(grown).get_asset_check_evaluations()
    assert check.passed
    assert "no questions of your own" in str(check.description)
    folder = grown.settings.effective_questions_dir / "acme"
    folder.mkdir(parents=True)
    rows = [{"question": f"who oils the {topic}?", "expected": f"{topic} crew"} for topic in TOPICS]
    (folder / "crews.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first = ask(grown)
    [check] = first.get_asset_check_evaluations()
    assert check.passed, check.description
    [made] = first.asset_materializations_for_node("evaluation__answers")
    assert (made.metadata["questions"].value, made.metadata["satisfied"].value) == (len(TOPICS), 1.0)

    for topic in TOPICS[:6]:
        grown.write(f"{topic}.md", f"# The {topic}\n\nThe {topic} needs no oil.\n")
    assert grown.run().success
    second = ask(grown)
    assert not second.success, "a failed run is what alerts speak of"
    assert second.asset_materializations_for_node("evaluation__answers"), "the figures are kept all the same"
    [check] = second.get_asset_check_evaluations()
    assert not check.passed
    assert "6 lost, 0 gained of 8" in str(check.description)
    assert not ask(grown).get_asset_check_evaluations()[0].passed, "asking again does not make it right"

    with grown.pipeline.store.engine.begin() as connection:
        newest = run_store.newest(connection, "acme", 1)[0]
        run_store.accept(connection, "acme", newest.id)
    assert ask(grown).get_asset_check_evaluations()[0].passed
