"""Checks on the end of a chain: accounting, held or incomplete listings, parity with the index, and quality."""

# No postponed annotations: Dagster reads the type of `context` at definition.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
from sqlalchemy import Connection

from rag_assets.lib.failures import RETRY, typed_failures
from rag_assets.lib.naming import asset_key, partitions, scope_of
from rag_assets.lib.reports import failure_table
from rag_assets.lib.schema_check import SAMPLE
from rag_assets.source_config import SourceConfig
from rag_core.content.quality import RULES, Assessment, QualityPolicy
from rag_core.content.quality import store as quality
from rag_core.content.sources import Scope, deletion_store
from rag_core.content.sources import store as sources
from rag_core.errors import Reason
from rag_core.ingestion.generations import status_store
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import Pipeline, account, assess_quality, sample_store
from rag_core.ingestion.pipeline import run_store as runs

_DESCRIPTIONS = {
    "accounting": "read = indexed + unchanged + deleted + quarantined + skipped, and nothing is pending.",
    "listing_complete": "The source was listed to its end; otherwise nothing was deleted.",
    "deletion_guard": "No deletions wait for an operator (`rag source approve-deletions`).",
    "document_budget": "No new document was left out because the tenant may store no more (`rag budget show`).",
}
_QUALITY_DESCRIPTIONS = {
    "quality": "No source rule of severity `error` fired; those that warn are in the metadata.",
    "poison_rate": "No more inputs went to quarantine in this run than the source allows.",
}
_PARITY = "The active generation has as many points of this source as the rows say."


def run_checks(config: SourceConfig) -> dg.AssetChecksDefinition:
    """The checks of one source's index asset, computed together, because each step of each source costs memory: six
    blocking, `index_parity` a warning."""
    key, shards = asset_key(config, "index"), partitions(config)
    blocking = [
        dg.AssetCheckSpec(name, asset=key, description=description, blocking=True, partitions_def=shards)
        for name, description in {**_DESCRIPTIONS, **_QUALITY_DESCRIPTIONS}.items()
    ]
    parity = dg.AssetCheckSpec("index_parity", asset=key, description=_PARITY, partitions_def=shards)

    @dg.multi_asset_check(name=f"{config.key}__index__checks", specs=[*blocking, parity], retry_policy=RETRY)
    def checks(
        context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
    ) -> Iterator[dg.AssetCheckResult]:
        with typed_failures():
            scope = scope_of(config, context)
            yield from evaluate(pipeline, scope, key)
            yield from _quality(pipeline, config, scope, key)

    return checks


def evaluate(pipeline: Pipeline, scope: Scope, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """The five results for one run over one shard. What a blocking one says begins with its reason code."""
    place = {"tenant": scope.source.tenant, "source": scope.source.name}
    with pipeline.store.engine.connect() as connection:
        problem = runs.problem(connection, **place, run_id=scope.run_id, shard=scope.shard, stage="documents")
        yield _accounting(pipeline, scope, key)
        incomplete = problem == Reason.LISTING_INCOMPLETE
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="listing_complete",
            passed=not incomplete,
            description=f"{problem}: the `problem_message` of the documents asset says what could not be read"
            if incomplete
            else None,
        )
        yield _deletion_guard(connection, scope, key, held=problem == Reason.MASS_DELETE_HELD)
        over = problem == Reason.QUOTA_EXCEEDED
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name="document_budget",
            passed=not over,
            description=f"{problem}: the `problem_message` of the documents asset says how many were left out"
            if over
            else None,
        )
        yield _parity(connection, pipeline, scope, key)


def _accounting(pipeline: Pipeline, scope: Scope, key: dg.AssetKey) -> dg.AssetCheckResult:
    counts = account(pipeline.store, scope)
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="accounting",
        passed=counts.balanced,
        metadata=asdict(counts),
        description=None if counts.balanced else f"{Reason.ACCOUNTING_MISMATCH}: the counts do not add up",
    )


def _deletion_guard(connection: Connection, scope: Scope, key: dg.AssetKey, *, held: bool) -> dg.AssetCheckResult:
    tenant, name = scope.source.tenant, scope.source.name
    count = sources.held_deletions(connection, tenant, name)
    rows = deletion_store.held_sample(connection, tenant, name, SAMPLE) if held else []
    table = failure_table({"locator": locator, "held_since": f"{since:%Y-%m-%d %H:%M} UTC"} for locator, since in rows)
    counts = runs.counts(
        connection, run_id=scope.run_id, tenant=tenant, source=name, shard=scope.shard, stage="documents"
    )
    lost = counts.get("disappeared", 0)
    note = f"{lost} of {counts['disappeared_of']} documents disappeared from the source" if lost else None
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="deletion_guard",
        passed=not held,
        metadata={"held": count, **table},
        description=f"{Reason.MASS_DELETE_HELD}: {count} deletions wait for `rag source approve-deletions {name}`"
        if held
        else note,
    )


def _parity(connection: Connection, pipeline: Pipeline, scope: Scope, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Counts cannot be compared while another run of the source writes; then the check passes and says so."""
    active = generations.active(connection)
    place = {"tenant": scope.source.tenant, "source": scope.source.name}
    if active is None or active.not_reproducible:
        return _parity_result(key, passed=True, note="no active generation that this installation writes to")
    expected, pending = status_store.expected_of_source(connection, active, **place)
    connection.commit()
    points = pipeline.index.count(active.name, **place)
    if pending:
        return _parity_result(key, passed=True, note="other runs are writing", points=points, rows=expected)
    note = "" if points == expected else "the index lost or kept points; `rag verify` names them"
    return _parity_result(key, passed=points == expected, note=note, points=points, rows=expected)


def _parity_result(key: dg.AssetKey, *, passed: bool, note: str, **counts: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="index_parity",
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=dict(counts),
        description=note or None,
    )


# --------------------------------------------------------------------------------------------------------------------
# The quality of a source in Dagster: a score that the UI plots over the runs, and two checks.


def assess_pipeline(pipeline: Pipeline, scope: Scope) -> Assessment:
    """Assess a shard with the fingerprints of this installation's chunker and embedder."""
    embedder = pipeline.embedder
    return assess_quality(
        pipeline.store,
        scope,
        chunker=pipeline.chunker.fingerprint,
        embedder=embedder.fingerprint,
        dimensions=embedder.dimensions,
    )


def quality_metadata(found: Assessment) -> dict[str, Any]:
    """Numbers to plot: the score and what each rule that fired measured."""
    fired = {f"quality_{name}": value for name, value in {**found.warnings, **found.errors}.items()}
    return {"quality_score": found.score, "quality_failed": found.failed, **fired}


def _quality(pipeline: Pipeline, config: SourceConfig, scope: Scope, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    with pipeline.store.engine.connect() as connection:
        shard = (scope.source.tenant, scope.source.name, scope.shard)
        found = quality.of_run(connection, shard, scope.run_id)
    found = found or assess_pipeline(pipeline, scope)
    refused = sample_store.quarantined(pipeline.store, scope, SAMPLE) if found.failed else []
    yield from evaluate_quality(found, key, config.quality.policy, refused)


def evaluate_quality(
    found: Assessment, key: dg.AssetKey, policy: QualityPolicy, refused: Sequence[Mapping[str, str | int]] = ()
) -> Iterator[dg.AssetCheckResult]:
    """The two results for one assessment; `refused` is a sample of the inputs that went to quarantine."""
    fired = {**found.errors, **found.warnings}
    said = "; ".join(_explain(name, value) for name, value in found.errors.items())
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="quality",
        passed=not found.errors,
        metadata={
            **quality_metadata(found),
            **failure_table(
                {
                    "rule": name,
                    "severity": "error" if name in found.errors else "warn",
                    "value": value,
                    "limit": policy.limit(RULES[name]),
                    "meaning": RULES[name].meaning,
                }
                for name, value in fired.items()
            ),
        },
        description=f"{Reason.QUALITY_THRESHOLD}: {said}" if found.errors else None,
    )
    problem = f"{Reason.QUALITY_THRESHOLD}: {found.failed} of {found.tried} inputs that were read went to quarantine"
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="poison_rate",
        passed=not found.exceeded,
        metadata={"failed": found.failed, "tried": found.tried, **failure_table(refused)},
        description=problem if found.exceeded else None,
    )


def _explain(name: str, value: float) -> str:
    return f"{name} {value:g}: {RULES[name].meaning}"
