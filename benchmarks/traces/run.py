"""Report of the benchmark of traces: the same searches to three equal installations, in turn, round after round."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import mean

import grpc
import psutil

from benchmarks import processes
from benchmarks.ingest.workbench import open_workbench
from benchmarks.own_text import open_embedder
from benchmarks.query.corpus import TENANT, chunk_texts, fill_index, unit_vectors
from benchmarks.query.load import questions
from benchmarks.query.run import installation
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.texts import package_sentences
from benchmarks.timing import median
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from ragctl.tokens import mint_token
from ragproto.query.v2 import query_pb2, query_pb2_grpc

OFF, SOME, ALL = "off", "1 % sampled", "100 % sampled"
_SAMPLED = {SOME: "0.01", ALL: "1"}
_TOP_K = 10


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure."""

    chunks: int = 10_000
    calls: int = 200
    rounds: int = 9


@dataclass(frozen=True, slots=True)
class _Installation:
    """A query server and its index process, and who asks them."""

    stub: query_pb2_grpc.QueryServiceStub
    token: str
    processes: tuple[psutil.Process, ...]

    def milliseconds(self, asked: list[str]) -> float:
        """Processor time per call of both processes."""
        before = self._used()
        for question in asked:
            self.stub.Search(
                query_pb2.SearchRequest(query=question, top_k=_TOP_K),
                metadata=(("authorization", f"Bearer {self.token}"),),
                timeout=30,
            )
        return (self._used() - before) * 1000 / len(asked)

    def _used(self) -> float:
        times = [one.cpu_times() for one in self.processes]
        return sum(time.user + time.system for time in times)


def run(settings: Settings, sizes: Sizes, *, progress: Progress) -> Report:
    """Start the three, ask them in turn, and compare what each round took."""
    texts = [" ".join(sentence.split()[:10]) for sentence in itertools.islice(package_sentences(), 2000)]
    with ExitStack() as stack:
        url = stack.enter_context(_collector())
        found = {mode: stack.enter_context(_started(settings, sizes, mode, url)) for mode in (OFF, SOME, ALL)}
        used: dict[str, list[float]] = {mode: [] for mode in found}
        for number in range(sizes.rounds + 1):
            progress(number, sizes.rounds + 1)
            for turn in range(len(found)):
                # The first of a round finds other caches, so each is first in a third of the rounds.
                mode = list(found)[(number + turn) % len(found)]
                asked = list(itertools.islice(questions(texts, number * 1_000_000), sizes.calls))
                taken = found[mode].milliseconds(asked)
                if number:  # the first only warms up
                    used[mode].append(taken)
    return _report(sizes, used)


def _report(sizes: Sizes, used: dict[str, list[float]]) -> Report:
    shares = {
        mode: [one / without - 1 for one, without in zip(used[mode], used[OFF], strict=True)] for mode in _SAMPLED
    }
    rows = tuple(
        (mode, mean(taken), *(f(shares[mode]) * 100 if mode in shares else None for f in (median, min, max)))
        for mode, taken in used.items()
    )
    columns = ("traces", "ms of processor per search", "more, median %", "least %", "most %")
    limits = {SOME: 0.01, ALL: 0.05}
    targets = tuple(
        Target(
            f"processor time per search, {mode} / without traces", 1 + median(shares[mode]), 1 + limit, "paired runs"
        )
        for mode, limit in limits.items()
    )
    notes = (
        f"{sizes.rounds} rounds of {sizes.calls} searches, one at a time, {sizes.chunks} chunks, no question twice",
        "processor time of query server and index process, export included; the collector only answers",
    )
    return Report("bench traces", (Table("What traces cost", columns, rows),), targets, notes)


@contextmanager
def _started(settings: Settings, sizes: Sizes, mode: str, collector: str) -> Iterator[_Installation]:
    share = _SAMPLED.get(mode)
    environment = {}
    if share is not None:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": share,
        }
    with open_workbench(settings) as workbench, ExitStack() as stack:
        own = installation(settings, workbench)
        with closing(open_embedder(own)) as embedder:
            dimensions, fingerprint = embedder.dimensions, embedder.fingerprint
        with closing(EdgeIndex(own.index_dir)) as index:
            texts, vectors = chunk_texts(sizes.chunks), unit_vectors(sizes.chunks, dimensions)
            fill_index(index, texts, vectors, fingerprint, lambda *_: None)
        before = {child.pid for child in psutil.Process().children()}
        stack.enter_context(processes.query_server(own, environment=environment))
        started = tuple(child for child in psutil.Process().children() if child.pid not in before)
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{own.query_port}"))
        token = mint_token(own, subject="bench", tenant=TENANT)
        yield _Installation(query_pb2_grpc.QueryServiceStub(channel), token, started)


class _Accepting(BaseHTTPRequestHandler):
    """An OTLP endpoint that reads and forgets."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Accept."""
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


@contextmanager
def _collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accepting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
