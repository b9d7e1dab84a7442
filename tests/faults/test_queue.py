"""Many runs that wait for the one place there is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from rag_clients.dagster import DagsterClient
from rag_clients.dagster_answers import DagsterRun
from rag_core.settings import Settings
from ragctl.dagster import dagster_client
from ragctl.local_stack.ingest import launch, source_jobs
from tests.support.local_stack import LocalStack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

RUNS = 50
SECONDS = 1500.0


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
    with closing(dagster_client(settings)) as api:
        for _ in range(RUNS):
            launch(api, job)
        runs = _finished(api, job.name)
    assert len(runs) >= RUNS
    assert {run.status for run in runs} == {"SUCCESS"}
    for before, after in itertools.pairwise(runs):
        assert (after.started or 0) >= (before.ended or 0), "one at a time, in the order in which they came"
    longest = max((run.started or 0) - run.created for run in runs)
    print(f"{len(runs)} runs, the last waited for {longest:.0f} s")


def _finished(api: DagsterClient, job: str) -> list[DagsterRun]:
    """All runs of the job, oldest first, once none is left to do."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = api.search_runs({"pipelineName": job})
        if all(run.ended for run in found):
            return sorted(found, key=lambda run: run.created)
        time.sleep(2)  # polling from outside; there is no event to wait for
    raise AssertionError("the queue did not empty")
