"""Child processes that start in milliseconds: one fork server that has imported what they need."""

from __future__ import annotations

import multiprocessing

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "tests.support.crashing_run",
        "tests.support.writer",
        "rag_core.retrieval.engines.edge.index",
        "rag_core.content.embedding.fake",
        "rag_core.content.parsing.parser",
        "psycopg.types.json",
        "sqlalchemy.dialects.postgresql.psycopg",
    ]
)
