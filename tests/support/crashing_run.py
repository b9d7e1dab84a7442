"""A run in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rag_core.content.sources import Scope
from rag_core.ingestion.pipeline import Pipeline, account, run_pipeline
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness
from tests.support.memory_source import Item, MemoryConnector
from tests.support.pipeline import PipelineHarness
from tests.support.processes import context

SMALL_BATCHES = {"embed_batch": 4, "sync_batch_documents": 4, "index_batch_documents": 3, "first_round_chars": 1000}
"""At most three documents of `prose` are a round."""


def start(home: Path, database_url: str, folder: Path, result: Path, failpoint: str | None = None) -> ForkServerProcess:
    """Start a run over the files of `folder`; when it survives, `result` holds its counts as JSON."""
    process = context.Process(target=_run, args=(home, database_url, folder, result, failpoint))
    process.start()
    return process


def _run(home: Path, database_url: str, folder: Path, result: Path, failpoint: str | None) -> None:
    settings = Settings.load(
        home=home, database_url=database_url, embedder="fake", failpoint=failpoint, **SMALL_BATCHES
    )
    with Pipeline(settings) as pipeline:
        flow = PipelineHarness(pipeline.store, pipeline.index, pipeline.parser, settings)
        harness, scope = GenerationHarness(flow), Scope(flow.source, f"run-{os.getpid()}")
        harness.ensure()
        results = run_pipeline(harness, scope, connector=folder_connector(folder))
        counts = account(pipeline.store, scope)
        stages = {name: result.counts for name, result in results.items()}
    result.write_text(json.dumps(asdict(counts) | {"stages": stages}))


def folder_connector(folder: Path) -> MemoryConnector:
    """A source in memory with the files of a folder; the token is a file's modification time."""
    connector = MemoryConnector()
    for path in sorted(folder.iterdir()):
        connector.items[path.name] = Item(path.read_bytes(), str(path.stat().st_mtime_ns))
    return connector
