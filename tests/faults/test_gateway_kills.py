"""One of two query servers goes away under load, and no caller notices; Envoy itself goes and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import pytest

from benchmarks.ports import free_port
from rag_core.content.embedding.fake import FakeEmbedder
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Jwt, Limits
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.postgres import process_database
from tests.support.query_server import INDEX_SECRET, Doc, Keys, open_filled
from tests.support.wire import gateway_options, running_envoy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
DOCS = [Doc("The bell rings at nine.")]
CALLS_A_SECOND = int(os.environ.get("GATEWAY_KILL_RPS", "50"))
SECONDS = 12.0
ROOT = Path(__file__).parents[2]


@dataclass
class Load:
    """Calls at a fixed rate from several threads; `failures` counts what a caller would have seen."""

    address: str
    metadata: tuple[tuple[str, str], ...]
    done: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def run(self, seconds: float, threads: int = 10) -> None:
        began = time.monotonic()
        workers = [threading.Thread(target=self._call, args=(n, threads, began, seconds)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _call(self, number: int, threads: int, began: float, seconds: float) -> None:
        pause = threads / CALLS_A_SECOND
        due = began + pause * number / threads
        with grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = v2_grpc.QueryServiceStub(channel)
            while due < began + seconds:
                time.sleep(max(0.0, due - time.monotonic()))
                due += pause
                started = time.monotonic()
                try:
                    assert stub.Search(v2.SearchRequest(query="bell"), metadata=self.metadata, timeout=10).passages
                except grpc.RpcError as error:
                    self.failures[f"{error.code().name}: {error.details()}"] += 1
                self.done += 1
                self.slowest = max(self.slowest, time.monotonic() - started)


@contextmanager
def server(home: Path, keys: Keys) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A query server with an index of its own; yields its process and port."""
    home.mkdir()
    open_filled(home / "index", DOCS, FakeEmbedder()).close()
    port = free_port()
    own = {
        "RAG_HOME": home,
        "RAG_EMBEDDER": "fake",
        "RAG_DATABASE_URL": process_database(),
        "RAG_INDEX_SECRET": INDEX_SECRET,
        "RAG_JWT_PUBLIC_KEYS": keys.path,
        "RAG_QUERY_PORT": port,
        "RAG_INDEX_PORT": free_port(),
        "RAG_METRICS_PORT": free_port(),
        "RAG_DRAIN_SECONDS": 3,
        "PYTHONPATH": ROOT,
    }
    env = {**os.environ, **{name: str(value) for name, value in own.items()}}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "query_server"], env=env, stdout=log, stderr=log)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait(60)


@dataclass
class Pair:
    processes: list[subprocess.Popen[bytes]]
    load: Load
    options: GatewayOptions
    folder: Path


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        keys = Keys(tmp_path)
        started = [stack.enter_context(server(tmp_path / name, keys)) for name in ("one", "two")]
        options = replace(
            gateway_options(),
            blue=Backends(tuple(Endpoint("127.0.0.1", port) for _, port in started)),
            jwt=Jwt("rag-platform", "rag-query", 60, jwks=json.dumps(keys.jwks)),
            limits=Limits(per_minute=0, per_hour=0, ip_per_minute=0),
        )
        address = stack.enter_context(running_envoy(options, tmp_path))
        load = Load(address, (("authorization", f"Bearer {keys.token()}"),))
        yield Pair([process for process, _ in started], load, options, tmp_path)


def run_with(pair: Pair, number: signal.Signals) -> None:
    """Load, and after a third of it the signal to the first server."""
    timer = threading.Timer(SECONDS / 3, pair.processes[0].send_signal, [number])
    timer.start()
    pair.load.run(SECONDS)
    timer.join()
    print(
        f"{number.name}: {pair.load.done} calls, slowest {pair.load.slowest:.3f} s, failed {dict(pair.load.failures)}"
    )
    assert pair.load.done >= 0.8 * CALLS_A_SECOND * SECONDS
    assert pair.load.failures == {}


@pytest.mark.catalogue("F32")
def test_kill_9_of_one_of_two_query_servers_fails_no_call(pair: Pair) -> None:
    run_with(pair, signal.SIGKILL)
    assert pair.processes[0].wait(60) == -signal.SIGKILL


@pytest.mark.catalogue("F31")
def test_sigterm_of_one_of_two_query_servers_fails_no_call(pair: Pair) -> None:
    run_with(pair, signal.SIGTERM)
    assert pair.processes[0].wait(60) == 0


@pytest.mark.catalogue("F36")
def test_envoy_answers_again_soon_after_a_kill(pair: Pair) -> None:
    moved = replace(pair.options, listen=Endpoint("127.0.0.1", free_port()), admin_port=free_port())
    folder = pair.folder / "another gateway"
    write_dynamic(moved, folder)
    command = [str(envoy_path()), *ENVOY_FLAGS, "-c", str(folder / "bootstrap.yaml")]
    for _ in range(2):
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with grpc.insecure_channel(f"{moved.listen.host}:{moved.listen.port}") as channel:
                request = v2.SearchRequest(query="bell")
                call = {"metadata": pair.load.metadata, "timeout": 20, "wait_for_ready": True}
                assert v2_grpc.QueryServiceStub(channel).Search(request, **call).passages
            print(f"answered {time.monotonic() - began:.2f} s after its start")
        finally:
            process.kill()
            process.wait(60)
