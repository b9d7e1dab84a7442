"""Seed rows of a platform that has run for months: documents, stages, ratings, and Dagster's own runs."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._serdes import serialize_value
from sqlalchemy import Engine, create_engine, insert

from benchmarks.console.stack import Stack, source_name

TENANT = "default"
_STAGES = ("documents", "chunks", "embeddings", "index")


def seed(stack: Stack, *, sources: int, runs: int, documents: int) -> None:
    """Give each source its share of `runs` (with results and quality assessments) and of `documents`."""
    with psycopg.connect(stack.database_url) as connection:
        _sources(connection, sources)
        _documents(connection, sources, documents)
        made = [(str(uuid.uuid4()), source_name(number % sources), number) for number in range(runs)]
        _stages(connection, made)
        _judgements(connection, made)
        connection.execute("ANALYZE")
    _dagster_runs(stack, made)


def _sources(connection: psycopg.Connection[Any], count: int) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO rag.sources (tenant, name, kind, last_complete_at, acl) VALUES (%s, %s, 'filesystem', %s,"
            " '{everyone}') ON CONFLICT DO NOTHING",
            [(TENANT, source_name(number), _ago(number)) for number in range(count)],
        )


def _documents(connection: psycopg.Connection[Any], sources: int, count: int) -> None:
    columns = (
        "doc_id, tenant, source, locator, version, text_version, source_version, token, parsed_as, content_hash,"
        " text_hash, bytes, media_type, title, language, text, acl, run_id"
    )
    with connection.cursor() as cursor, cursor.copy(f"COPY rag.documents ({columns}) FROM STDIN") as copy:
        for number in range(count):
            name, body = f"page-{number}.md", f"Text of page {number}."
            copy.write_row((uuid.uuid5(uuid.NAMESPACE_URL, name), TENANT, source_name(number % sources), name, 1, 1, 1,
                            "t", "p", name.encode(), name.encode(), len(body), "text/markdown", name, "en", body,
                            ["everyone"], "seed"))  # fmt: skip


def _stages(connection: psycopg.Connection[Any], runs: list[tuple[str, str, int]]) -> None:
    counts = json.dumps({"read": 50, "added": 0, "updated": 1, "unchanged": 49, "deleted": 0, "quarantined": 0,
                         "skipped": 0})  # fmt: skip
    columns = "run_id, tenant, source, shard, stage, counts, seconds, complete, finished_at"
    with connection.cursor() as cursor, cursor.copy(f"COPY rag.run_stages ({columns}) FROM STDIN") as copy:
        for run, source, number in runs:
            for stage in _STAGES:
                copy.write_row((run, TENANT, source, 0, stage, counts, '{"total": 1.5}', True, _ago(number)))


def _judgements(connection: psycopg.Connection[Any], runs: list[tuple[str, str, int]]) -> None:
    profile = {"documents": 50, "quarantined": 0, "flagged": 0, "duplicates": 0, "median_bytes": 4096.0,
               "zero_chunks": 0, "bad_vectors": 0, "languages": {"en": 40, "zh": 10}}  # fmt: skip
    columns = "run_id, tenant, source, shard, score, profile, findings, failed, tried, exceeded, good, finished_at"
    findings = json.dumps({"warnings": {}, "errors": {}})
    with connection.cursor() as cursor, cursor.copy(f"COPY rag.quality_runs ({columns}) FROM STDIN") as copy:
        for run, source, number in runs:
            copy.write_row((run, TENANT, source, 0, 90.0 + number % 10, json.dumps(profile), findings, 0, 50, False,
                            True, _ago(number)))  # fmt: skip


def _dagster_runs(stack: Stack, runs: list[tuple[str, str, int]]) -> None:
    """As Dagster stores them. Its public way takes milliseconds a run and writes an event for each."""
    engine = _dagster_engine(stack)
    rows, tags = [], []
    for run_id, source, number in runs:
        key, ended = source.replace("-", "_"), _ago(number)
        job = f"{key}_sync"
        status = DagsterRunStatus.FAILURE if number % 50 == 7 else DagsterRunStatus.SUCCESS
        run = DagsterRun(job_name=job, run_id=run_id, status=status, tags={"rag/source": key})
        rows.append(
            {"run_id": run_id, "pipeline_name": job, "status": status.value, "run_body": serialize_value(run),
             "create_timestamp": ended.replace(tzinfo=None), "update_timestamp": ended.replace(tzinfo=None),
             "start_time": ended.timestamp() - 12, "end_time": ended.timestamp()}
        )  # fmt: skip
        tags.append({"run_id": run_id, "key": "rag/source", "value": key})
    with engine.begin() as connection:
        connection.execute(insert(RunsTable), rows[::-1])
        connection.execute(insert(RunTagsTable), tags)
    engine.dispose()


def _dagster_engine(stack: Stack) -> Engine:
    """An embedded stack keeps Dagster's tables in the same database."""
    return create_engine(stack.database_url.replace("postgresql://", "postgresql+psycopg://"))


def _ago(number: int) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=number + 1)
