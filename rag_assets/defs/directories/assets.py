"""People and groups as an asset, with the check that finds what was not applied."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from rag_assets.directories import any_directory, sync_directories, version_tag
from rag_assets.lib.failures import RETRY, typed_failures
from rag_core.errors import RagError, Reason
from rag_core.governance.directories import list_directories
from rag_core.ingestion.pipeline import Pipeline

SECONDS = 15
_CHECK = "applied"


@dg.asset(
    group_name="directories",
    kinds={"postgres"},
    retry_policy=RETRY,
    check_specs=[dg.AssetCheckSpec(_CHECK, asset="directories", description="Every directory was read and applied.")],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=1)),
)
def directories(pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.MaterializeResult[None]]:
    """Brings what directories hold up to date; queries see it within a second of the commit."""
    with typed_failures():
        done = sync_directories(pipeline.store, pipeline.settings)
        with pipeline.store.engine.connect() as connection:
            found = list_directories(connection)
    wrong = {name: _problem(one) for name, one in done.items() if isinstance(one, RagError) or one.held}
    check = dg.AssetCheckResult(passed=not wrong, check_name=_CHECK, metadata=dict(wrong))
    counts = {f"{one.tenant}/{one.name} unknown principals": one.unknown_principals for one in found}
    memberships = sum(one.memberships for one in found)
    yield dg.MaterializeResult(metadata={"memberships": memberships, **counts}, check_results=[check])


def _problem(one: object) -> str:
    return str(one) if isinstance(one, RagError) else f"{Reason.DIRECTORY_HELD}: {getattr(one, 'held', 0)} removals"


directories_job = dg.define_asset_job(
    "directory_update", selection=dg.AssetSelection.groups("directories"), executor_def=dg.in_process_executor
)


@dg.sensor(
    job=directories_job,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a run when a file of a directory changed, or people or groups on its server.",
)
def directory_files(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    """Compare files and servers with those of the last run; the first evaluation without any asks for nothing."""
    with typed_failures():
        tag = version_tag(pipeline.settings)
    if tag == context.cursor or not (context.cursor or any_directory(pipeline.settings)):
        return dg.SkipReason("no directory changed")
    context.update_cursor(tag)
    return dg.RunRequest(run_key=tag)
