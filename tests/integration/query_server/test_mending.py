"""The process that owns the index, over damaged files: typed and not ready, then filled again by itself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from benchmarks.ports import free_port
from rag_core.content.parsing import open_parser
from rag_core.database import locks, open_store
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.integration.query_server.test_process import environment, process, ready, search
from tests.support.pipeline import PipelineHarness
from tests.support.postgres import temporary_database
from tests.support.query_server import Keys, failure
from tests.support.waiting import eventually


def _ingested(settings: Settings) -> None:
    store, index, parser = open_store(settings), EdgeIndex(settings.index_dir), open_parser(settings)
    flow = PipelineHarness(store, index, parser, settings)
    flow.connector.put("bell.txt", "The bell rings at nine. It rings again at noon.")
    assert flow.run().balanced
    parser.close()
    index.close()
    store.close()


def test_a_damaged_index_is_typed_and_not_ready_and_then_rebuilt_by_itself(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    with temporary_database() as url:
        settings = Settings(home=tmp_path, database_url=url, embedder="fake")
        _ingested(settings)
        for path in settings.index_dir.rglob("segments/**/*"):
            if path.is_file() and path.stat().st_size > 64:
                path.write_bytes(b"\xff" * 64)
        env = environment(tmp_path, RAG_DATABASE_URL=url, RAG_INDEX_METRICS_PORT=str(free_port()))
        env["RAG_INDEX_ENDPOINT"] = f"127.0.0.1:{env['RAG_INDEX_PORT']}"
        with (
            closing(open_store(settings)) as store,
            locks.exclusive_connection(store, wait=5) as run,  # as a run does: nothing is rebuilt under it
            process(env, "query_server.index_process"),
            process(env),
        ):
            assert eventually(lambda: ready(env) == 503, seconds=60)
            failed = failure(lambda: search(env, keys))
            assert failed is not None
            assert failed.reason == "INDEX_CORRUPT"
            run.exec_driver_sql("SELECT pg_advisory_unlock_all()")
            run.commit()
            assert eventually(lambda: failure(lambda: search(env, keys)) is None, seconds=60)
            assert search(env, keys).passages
            assert eventually(lambda: ready(env) == 200, seconds=60)
