"""A process that stores documents as fast as it can and notes each commit in a file, for tests that kill it."""

from __future__ import annotations

import os
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rag_core.content.documents import NewDocument
from rag_core.content.documents import store as documents
from rag_core.content.parsing import ParsedDocument
from rag_core.database import open_store
from rag_core.ids import document_id
from rag_core.settings import Settings
from tests.support.processes import context

BATCH = 3


def start(database_url: str, ledger: Path, first: int) -> ForkServerProcess:
    """Start writing batches `first`, `first + 1`, ... of `BATCH` documents until killed."""
    process = context.Process(target=_write, args=(database_url, ledger, first))
    process.start()
    return process


def new_document(locator: str, text: str, *, base: int = 0, source_version: int | None = None) -> NewDocument:
    """A small document of tenant `acme`, source `push`."""
    return NewDocument(
        doc_id=document_id("acme", "push", locator),
        locator=locator,
        token=text,
        parser_fingerprint="p",
        content_hash=text.encode(),
        bytes=len(text),
        document=ParsedDocument(text, "text/plain"),
        acl=("everyone",),
        acl_inherited=False,
        modified_at=None,
        base_version=base,
        source_version=source_version,
    )


def _write(database_url: str, ledger: Path, first: int) -> None:
    store = open_store(Settings.load(database_url=database_url))
    with ledger.open("ab", buffering=0) as acknowledged:
        number = first
        while True:
            rows = [new_document(f"{number}-{part}", f"batch {number} part {part}") for part in range(BATCH)]
            with store.engine.begin() as connection:
                documents.write(connection, "acme", "push", 0, f"batch-{number}", rows)
            # A file and not a pipe: what was written survives the kill.
            acknowledged.write(f"{number}\n".encode())
            os.fsync(acknowledged.fileno())
            number += 1
