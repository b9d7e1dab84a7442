from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from rag_assets.defs.maintenance.assets import purge_compute_logs, purge_runs

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


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance that keeps the output of runs in a folder."""
    logs = {"module": "dagster._core.storage.local_compute_log_manager", "class": "LocalComputeLogManager"}
    overrides = {"compute_logs": {**logs, "config": {"base_dir": str(tmp_path / "logs")}}}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as instance:
        yield instance


def _write_output(folder: Path, run_id: str, size: int, written: float) -> None:
    path = folder / "logs" / run_id / "compute_logs" / "step.err"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (written, written))


def test_output_of_runs_goes_with_age_and_above_a_size_but_not_of_runs_in_progress(
    keeping: dg.DagsterInstance, tmp_path: Path
) -> None:
    now = 1_800_000_000.0
    busy = create_run_for_test(keeping, job_name="a_sync", status=Status.STARTED).run_id
    for run_id, size, days in [("new", 600, 0), ("large", 600, 1), ("small", 300, 2), ("old", 1, 31), (busy, 1, 40)]:
        _write_output(tmp_path, run_id, size, now - days * 86_400)
    assert purge_compute_logs(keeping, days=30, max_bytes=1000, now=now) == 2
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"new", "small", busy}


def test_without_kept_output_there_is_nothing_to_delete() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert purge_compute_logs(instance, days=30) == 0
