"""`python -m query_server` as operators meet it: start, refuse, log, drain."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from benchmarks.ports import free_port
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.retrieval.engines.remote import RemoteIndex
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.postgres import as_owner, process_database
from tests.support.query_server import INDEX_SECRET, Doc, Keys, failure, fill, open_filled
from tests.support.waiting import eventually

QUERY = "when does the confidential bell ring?"
DOCS = [Doc("The confidential bell rings at nine.")]
ROOT = Path(__file__).parents[3]


def environment(home: Path, **changes: str) -> dict[str, str]:
    own = {
        "RAG_HOME": str(home),
        "RAG_EMBEDDER": "fake",
        "RAG_DATABASE_URL": process_database(),
        "RAG_INDEX_SECRET": INDEX_SECRET,
        "RAG_JWT_PUBLIC_KEYS": str(home / "jwks.json"),
        "RAG_QUERY_PORT": str(free_port()),
        "RAG_INDEX_PORT": str(free_port()),
        "RAG_METRICS_PORT": str(free_port()),
        "RAG_DRAIN_SECONDS": "0.2",
        "RAG_LOG_JSON": "true",
    }
    inherited = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return inherited | own | {"PYTHONPATH": str(ROOT)} | changes


def command(module: str = "query_server") -> list[str]:
    return [sys.executable, "-m", module]


def refused(env: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a server that must not start."""
    done = subprocess.run(command(), env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def process(env: dict[str, str], module: str = "query_server") -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A running server, and its log lines up to `serving`."""
    with subprocess.Popen(command(module), env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines: list[str] = []
        try:
            for line in server.stderr:
                lines.append(line)
                if '"serving"' in line:
                    break
            yield server, lines
        finally:
            server.kill()


def search(env: dict[str, str], keys: Keys, query: str = QUERY, timeout: float = 60) -> v2.SearchResponse:
    with grpc.insecure_channel(f"127.0.0.1:{env['RAG_QUERY_PORT']}") as channel:
        metadata = (("authorization", f"Bearer {keys.token()}"), ("x-request-id", "req-17"))
        stub = v2_grpc.QueryServiceStub(channel)
        return stub.Search(v2.SearchRequest(query=query), metadata=metadata, timeout=timeout, wait_for_ready=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.catalogue("S17", "F31")
def test_one_json_line_per_call_without_text_and_a_clean_exit_on_sigterm(home: Path) -> None:
    keys = Keys(home)
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    env = environment(home)
    with process(env) as (server, lines):
        assert search(env, keys).passages
        failed = failure(lambda: search(env, keys, "\u200b"))
        assert failed is not None
        assert failed.request_id == failed.trailers["x-request-id"] == "req-17"
        server.send_signal(signal.SIGTERM)
        _, rest = server.communicate(timeout=30)
        assert server.returncode == 0
    records: list[dict[str, Any]] = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    good, bad = (record for record in records if record["event"] == "call")
    assert (good["code"], good["hits"], good["generation"], good["request_id"]) == ("OK", 1, "g1", "req-17")
    assert (bad["code"], bad["reason"]) == ("INVALID_ARGUMENT", "QUERY_EMPTY")
    assert len(good["tenant"]) == len(good["subject"]) == 12
    everything = "".join([*lines, rest])
    assert not any(word in everything for word in ("confidential", "acme", "Bearer", INDEX_SECRET, keys.token()[:20]))
    assert records[-1]["event"] == "stopped"


@pytest.mark.catalogue("F17")
def test_a_corrupt_index_refuses_to_start(home: Path) -> None:
    Keys(home)
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    for path in (home / "index").rglob("*"):
        if path.is_file() and path.stat().st_size > 64 and "segments" in str(path):
            path.write_bytes(b"\xff" * 64)
    code, output = refused(environment(home))
    assert code == 1
    assert "INDEX_CORRUPT" in output
    assert "Traceback" not in output


def test_a_locked_index_refuses_to_start(home: Path) -> None:
    Keys(home)
    index = open_filled(home / "index", DOCS, FakeEmbedder())
    code, output = refused(environment(home))
    index.close()
    assert (code, "INDEX_LOCKED" in output) == (1, True)


@contextmanager
def engine_apart(home: Path, **changes: str) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """A query server and the process that owns its index, as `rag up` starts them; yields the latter."""
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    env = environment(home, RAG_INDEX_METRICS_PORT=str(free_port()), **changes)
    env["RAG_INDEX_ENDPOINT"] = f"127.0.0.1:{env['RAG_INDEX_PORT']}"
    with process(env, "query_server.index_process") as (index, _), process(env):
        yield env, index
        index.send_signal(signal.SIGCONT)


@pytest.mark.catalogue("F35")
def test_a_stopped_engine_ends_every_call_by_its_deadline_and_the_process_stays_live(home: Path) -> None:
    keys = Keys(home)
    with engine_apart(home) as (env, index):
        assert search(env, keys).passages
        index.send_signal(signal.SIGSTOP)
        codes: list[grpc.StatusCode] = []
        # The breaker opens after a few calls; on a busy machine some end before they reach it: they do not count.
        while len(codes) < 40 and grpc.StatusCode.UNAVAILABLE not in codes:
            failed = failure(lambda: search(env, keys, timeout=0.5))
            assert failed is not None
            codes.append(failed.code)
        assert set(codes[:4]) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert codes[-1] is grpc.StatusCode.UNAVAILABLE
        assert ready(env) == 200
        index.send_signal(signal.SIGCONT)
        assert eventually(lambda: failure(lambda: search(env, keys)) is None)


@pytest.mark.catalogue("F32")
def test_searches_wait_for_an_engine_that_is_restarted(home: Path) -> None:
    keys = Keys(home)
    with engine_apart(home, RAG_DEFAULT_DEADLINE_SECONDS="30") as (env, index):
        assert search(env, keys).passages
        index.kill()
        index.wait(60)
        with ThreadPoolExecutor(1) as client:
            waiting = client.submit(search, env, keys)
            with process(env, "query_server.index_process"):
                assert waiting.result(30).passages


def test_an_index_that_was_deleted_while_the_stack_was_down_is_typed_and_not_ready_until_it_is_filled_again(
    home: Path,
) -> None:
    keys = Keys(home)
    with engine_apart(home) as (env, _):
        assert eventually(lambda: search(env, keys).passages, seconds=60)
    shutil.rmtree(home / "index")
    with process(env, "query_server.index_process"), process(env):
        assert eventually(lambda: ready(env) == 503)
        for _ in range(5):
            failed = failure(lambda: search(env, keys))
            assert failed is not None
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "INDEX_EMPTY")
        index = RemoteIndex(env["RAG_INDEX_ENDPOINT"], INDEX_SECRET, timeout=30, retry=0)
        fill(index, DOCS, FakeEmbedder())
        index.close()
        assert eventually(lambda: ready(env) == 200)
        assert search(env, keys).passages


@pytest.mark.parametrize("port", ["RAG_QUERY_PORT", "RAG_METRICS_PORT", "RAG_INDEX_PORT"])
def test_a_taken_port_refuses_to_start_and_is_named(home: Path, port: str) -> None:
    Keys(home)
    env = environment(home)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(env[port])))
        taken.listen()
        code, output = refused(env)
    assert code == 1
    assert "PORT_TAKEN" in output
    assert port in output


@pytest.mark.catalogue("S08")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RAG_DATABASE_URL": ""}, "SECRET_MISSING"),
        ({"RAG_INDEX_SECRET": "short"}, "SECRET_WEAK"),
        ({"RAG_INDEX_SECRET": "a" * 40}, "SECRET_WEAK"),
        ({"RAG_INDEX_SECRET": ""}, "SECRET_MISSING"),
        ({"RAG_JWT_PUBLIC_KEYS": "/nonexistent/keys"}, "SECRET_MISSING"),
        ({"RAG_JWT_PUBLIC_KEYS": ""}, "SECRET_MISSING"),
        ({"RAG_JWT_JWKS_URL": "http://idp.example/jwks"}, "CONFIG_INVALID"),
        ({"RAG_DATABASE_URL": "postgresql://rag:postgres@127.0.0.1:1/none"}, "SECRET_WEAK"),
        ({"RAG_QDRANT_URL": "http://127.0.0.1:1"}, "SECRET_MISSING"),
        ({"RAG_QDRANT_URL": "http://127.0.0.1:1", "RAG_QDRANT_API_KEY": "short"}, "SECRET_WEAK"),
        ({"RAG_EMBEDDER": "fake"}, "CONFIG_INVALID"),
        ({"RAG_PAGE_TOKEN_SECRET": ""}, "RAG_PAGE_TOKEN_SECRET must be set"),
        ({"RAG_HASH_SECRET": ""}, "RAG_HASH_SECRET must be set"),
        ({"RAG_PAGE_TOKEN_SECRET": "short"}, "SECRET_WEAK"),
        ({"RAG_HASH_SECRET": "0123456789abcdefghijklmnopqrstuv"}, "same secret as RAG_INDEX_SECRET"),
    ],
)
def test_production_refuses_missing_and_weak_secrets(home: Path, changes: dict[str, str], reason: str) -> None:
    Keys(home)
    strong = {
        "RAG_ENVIRONMENT": "production",
        "RAG_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "RAG_INDEX_SECRET": "0123456789abcdefghijklmnopqrstuv",
        "RAG_PAGE_TOKEN_SECRET": "a123456789abcdefghijklmnopqrstuv",
        "RAG_HASH_SECRET": "b123456789abcdefghijklmnopqrstuv",
        "RAG_EMBEDDER": "openai",
        "RAG_EMBED_URL": "http://127.0.0.1:1/v1",
        "RAG_EMBED_MODEL": "m",
        "RAG_EMBED_DIMENSIONS": "8",
    }
    code, output = refused(environment(home, **(strong | changes)))
    assert (code, reason in output) == (2, True), output


def test_the_command_that_is_printed_for_a_missing_secret_makes_one_that_is_taken(home: Path) -> None:
    Keys(home)
    production = {"RAG_ENVIRONMENT": "production", "RAG_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
                  "RAG_EMBEDDER": "onnx", "RAG_INDEX_SECRET": ""}  # fmt: skip
    env = environment(home, **production)
    for name in ("RAG_INDEX_SECRET", "RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET"):
        _, output = refused(env)
        missing = re.search(rf"{name} must be set .*?; this makes one: (python3 -c '[^']+')", output)
        assert missing is not None, output
        env[name] = subprocess.check_output(["sh", "-c", missing[1]], text=True).strip()
    with process(env):
        pass


def ready(env: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{env['RAG_METRICS_PORT']}/ready", timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_server_starts_and_answers_on_the_schema_of_the_next_release(home: Path, database_url: str) -> None:
    with psycopg.connect(as_owner(database_url)) as connection:
        connection.execute("ALTER TABLE rag.documents ADD COLUMN novelty text NOT NULL DEFAULT ''")
        connection.execute("UPDATE rag.schema_version SET version_num = '9999'")
    keys = Keys(home)
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    env = environment(home, RAG_DATABASE_URL=database_url)
    with process(env):
        assert eventually(lambda: ready(env) == 200)
        assert search(env, keys).passages


def test_a_server_starts_without_the_database_says_so_and_stops_on_sigterm(home: Path) -> None:
    keys = Keys(home)
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    env = environment(home, RAG_DATABASE_URL=f"postgresql://rag@127.0.0.1:{free_port()}/rag")
    with process(env) as (server, _):
        assert ready(env) == 503
        failed = failure(lambda: search(env, keys))
        assert failed is not None
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "REVOCATIONS_UNKNOWN")
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
        assert server.returncode == 0


def test_without_an_index_the_process_serves_and_is_not_ready(home: Path) -> None:
    Keys(home)
    env = environment(home)
    with process(env):
        assert ready(env) == 503
