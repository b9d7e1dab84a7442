from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from rag_assets.defs.maintenance.assets import purge_runs

Status = dg.DagsterRunStatus


def _runs(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    return sorted((run.job_name, run.status.value) for run in instance.get_runs())


def test_old_finished_runs_go_and_the_newest_of_each_kind_stays() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for number in range(250):  # more than one page
            create_run_for_test(
                instance, job_name="a_sync", status=Status.FAILURE if number % 5 == 0 else Status.SUCCESS
            )
        create_run_for_test(instance, job_name="b_sync", status=Status.SUCCESS)
        create_run_for_test(instance, job_name="a_sync", status=Status.STARTED)
        newest = instance.get_runs(dg.RunsFilter(job_name="a_sync", statuses=[Status.SUCCESS]), limit=1)[0].run_id
        later = datetime.now(UTC) + timedelta(days=31)
        assert purge_runs(instance, days=30, now=later) == 248
        assert _runs(instance) == [
            ("a_sync", "FAILURE"),
            ("a_sync", "STARTED"),
            ("a_sync", "SUCCESS"),
            ("b_sync", "SUCCESS"),
        ]
        assert instance.get_run_by_id(newest) is not None
        assert purge_runs(instance, days=30, now=later) == 0


def test_the_newest_run_of_each_shard_stays() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for shard in ("0", "1", "0", "1"):
            tags = {"dagster/partition": shard}
            create_run_for_test(instance, job_name="a_sync", status=Status.SUCCESS, tags=tags)
        assert purge_runs(instance, days=30, now=datetime.now(UTC) + timedelta(days=31)) == 2
        assert {run.tags["dagster/partition"] for run in instance.get_runs()} == {"0", "1"}


def test_runs_that_are_not_old_stay() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(3):
            create_run_for_test(instance, job_name="a_sync", status=Status.SUCCESS)
        assert purge_runs(instance, days=30) == 0
