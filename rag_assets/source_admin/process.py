"""One operation in a process of its own, which its parent ends when the time is over.

The process is forked from a server that has imported this module already, so that it begins at once. Nothing that
starts threads may be imported here; the operation opens what it needs.
"""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.context import ForkServerContext, ForkServerProcess

from rag_assets.source_admin.operations import carry_out
from rag_core.content.sources import operation_store
from rag_core.errors import RagError
from rag_core.ingestion.pipeline import Pipeline
from rag_core.logging import configure_logging, get_logger
from rag_core.settings import Settings


def start_operation(number: int) -> ForkServerProcess:
    """Start the process of an operation."""
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rag_assets.source_admin.preload"])
    process = context.Process(target=run_operation, args=(number,), name=f"source-operation-{number}", daemon=True)
    process.start()
    return process


def run_operation(number: int) -> None:
    """Carry out the operation and store its result."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal goes to the worker, which ends this process
    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    log = get_logger(__name__)
    try:
        with Pipeline(settings) as pipeline:
            with pipeline.store.engine.connect() as connection:
                operation = operation_store.get(connection, number)
            carry_out(pipeline, operation)
    except RagError as error:
        log.error("source_operation_failed", operation=number, reason=error.reason, problem=error.message)
