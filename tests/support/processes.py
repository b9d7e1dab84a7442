"""Child processes that start in milliseconds: one fork server that has imported what they need."""

from __future__ import annotations

import multiprocessing

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "tests.support.crashing_run",
        "tests.support.writer",
        "rag_core.index.edge.index",
        "rag_core.embedding.fake",
        "rag_core.parsing.parser",
        "psycopg.types.json",
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)
