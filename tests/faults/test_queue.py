"""Many runs that wait for the one place there is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from rag_core.settings import Settings
from ragctl.dagster import DagsterApi
from ragctl.local_stack.ingest import launch, source_jobs
from tests.support.local_stack import LocalStack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

RUNS = 50
SECONDS = 1500.0
_QUERY = """
query Waiting($filter: RunsFilter!) {
  runsOrError(filter: $filter, limit: 200) {
    ... on Runs { results { runId status creationTime startTime endTime } }
  }
}
"""


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    stack = LocalStack(extra={"MAX_CONCURRENT_RUNS": "1", "EMBEDDER": "fake"})
    (stack.docs / "a.md").write_text("# Pumps\n\nPump 7 needs oil.\n")
    yield stack
    stack.close()


@pytest.mark.catalogue("F14")
def test_fifty_queued_runs_wait_in_their_order_and_none_is_given_up_for_waiting(stack: LocalStack) -> None:
    stack.up()
    settings = Settings.load(home=stack.home, dagster_port=int(stack.environment["RAG_DAGSTER_PORT"]))
    job = source_jobs(settings)["docs"]
    with closing(DagsterApi(settings)) as api:
        for _ in range(RUNS):
            launch(api, job)
        runs = _finished(api, job.name)
    assert len(runs) >= RUNS
    assert {run["status"] for run in runs} == {"SUCCESS"}
    for before, after in itertools.pairwise(runs):
        assert after["startTime"] >= before["endTime"], "one at a time, in the order in which they came"
    longest = max(run["startTime"] - run["creationTime"] for run in runs)
    print(f"{len(runs)} runs, the last waited for {longest:.0f} s")


def _finished(api: DagsterApi, job: str) -> list[dict[str, Any]]:
    """All runs of the job, oldest first, once none is left to do."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = api.query(_QUERY, filter={"pipelineName": job})["runsOrError"]["results"]
        if all(run["endTime"] for run in found):
            return sorted(found, key=lambda run: run["creationTime"])
        time.sleep(2)  # polling from outside; there is no event to wait for
    raise AssertionError("the queue did not empty")
