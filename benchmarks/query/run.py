"""Report of the query benchmark: the same number of calls in flight to every system, in turn, round after round."""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from benchmarks import processes
from benchmarks.ingest.workbench import Workbench, open_workbench
from benchmarks.own_text import open_embedder
from benchmarks.ports import free_port
from benchmarks.query import peers
from benchmarks.query.corpus import TENANT, chunk_texts, fill_index
from benchmarks.query.load import Outcome, closed_loop, open_loop, questions
from benchmarks.query.overload import Wave, overload, overload_table, overload_targets
from benchmarks.query.recall import QUESTIONS, Nearest, exact_nearest, recalls
from benchmarks.query.systems import System, embed_only, engine_only, in_process, over_grpc, over_http
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.texts import chinese_sentences, package_sentences
from benchmarks.timing import median
from benchmarks.vectors import text_vectors
from rag_core.content.embedding import Vectors
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.edge import EdgeIndex, graph_fingerprint
from rag_core.retrieval.index import SearchMode, VectorIndex
from rag_core.settings import Settings
from ragctl.tokens import ensure_keys, mint_token, new_secret
from ragproto.query.v2 import query_pb2

ENGINE, SERVER, GATEWAY = "engine in process", "server", peers.HYBRID
REST, INSIDE = "through the gateway, REST", "server, engine inside"
_COLD_STARTS = 3
_SET_UP_BY = 700_000_000
"""The first of the questions that peers are set up by; their recall is measured with others."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure. `rate` is the open loop's calls per second."""

    chunks: int = 100_000
    in_flight: tuple[int, ...] = (1, 8, 32)
    seconds: float = 5
    rounds: int = 3
    rate: float = 50
    open_seconds: float | None = None
    engine_inside: bool = False
    overload: bool = False
    qdrant_url: str | None = None
    """A Qdrant server to measure instead of the embedded engine; it is left as it was."""


def run(settings: Settings, sizes: Sizes, *, peer: bool, progress: Progress) -> Report:
    """Build the index, start everything, ask."""
    pythons = peers.install(settings) if peer else {}
    with open_workbench(settings) as workbench, ExitStack() as stack:
        own = installation(settings, workbench, sizes.qdrant_url)
        bench = _Bench(own, sizes)
        if sizes.qdrant_url:
            stack.enter_context(processes.qdrant_left_clean(own))
        bench.prepare(progress)
        cold = bench.cold_starts()
        systems = bench.start(stack, pythons)
        recall = asyncio.run(recalls(bench.dense, bench.nearest))
        closed = asyncio.run(_closed_loops(systems, sizes, progress))
        opened = asyncio.run(_open_loop(systems[GATEWAY], sizes))
        waves = asyncio.run(overload(systems[GATEWAY], _texts(), _busiest(closed), sizes)) if sizes.overload else ()
    report = _report(sizes, closed, recall, opened, cold, waves, peer=peer)
    return replace(report, notes=(*report.notes, *bench.notes))


def installation(settings: Settings, workbench: Workbench, qdrant_url: str | None = None) -> Settings:
    """A home with keys, a database, the shared model files and free ports."""
    installed = workbench.installation("onnx")
    (installed.home / "secrets").mkdir(mode=0o700)
    names = (
        *("query_port", "index_port", "index_metrics_port", "metrics_port"),
        *("gateway_port", "gateway_internal_port", "envoy_admin_port", "interfaces_port"),
    )
    ports = {name: free_port() for name in names}
    apart = {"index_endpoint": f"127.0.0.1:{ports['index_port']}", "index_secret": SecretStr(new_secret())}
    # The names on a shared server come from the id of this throw-away database.
    qdrant = {"qdrant_url": qdrant_url, "qdrant_prefix": None}
    own = installed.model_copy(update={"embedder": settings.embedder} | qdrant | ports | apart)
    ensure_keys(own)
    return own


def _beside(settings: Settings) -> Settings:
    """The same server with the engine inside, on a copy of the index."""
    home = settings.home / "inside"
    home.mkdir()
    for name in ("models", "secrets"):
        (home / name).symlink_to((settings.home / name).resolve())
    shutil.copytree(settings.index_dir, home / "index")
    ports = {name: free_port() for name in ("query_port", "index_port", "metrics_port")}
    return settings.model_copy(update={"home": home, "index_endpoint": None} | ports)


class _Bench:
    """The index, its copies, and the processes on them."""

    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        self._settings = settings
        self._sizes = sizes
        self._home = settings.home
        self.notes: list[str] = []
        self.nearest: Nearest = {}
        self.dense: dict[str, System] = {}
        """The dense leg of each system by itself: its recall can be compared with exact search."""

    def prepare(self, progress: Progress) -> None:
        """Two copies of the index, for the server and this process cannot open one folder at once.

        It is kept beside them for the next run of the same size: a large one takes longer to build than to measure.
        """
        texts = chunk_texts(self._sizes.chunks)
        with closing(open_embedder(self._settings)) as embedder:
            fingerprint = embedder.fingerprint
            vectors = text_vectors(texts, embedder, self._home.parents[1] / "vectors", progress)
            self.nearest = exact_nearest(embedder, texts, vectors, _texts())
            asked = embedder.embed_queries(list(itertools.islice(questions(_texts(), _SET_UP_BY), QUESTIONS)))
        if self._settings.qdrant_url:
            with closing(open_index(self._settings)) as index:
                self._fill(index, texts, vectors, fingerprint, progress)
        else:
            self._copy_of_kept(texts, vectors, fingerprint, progress)
        peers.write_corpus(self._home, texts, vectors, asked)

    def _copy_of_kept(self, texts: list[str], vectors: Vectors, fingerprint: str, progress: Progress) -> None:
        kept = self._home.parents[1] / f"index-{self._sizes.chunks}-{fingerprint[:12]}-{graph_fingerprint()}"
        if not kept.exists():
            with closing(EdgeIndex(self._home / "new-index")) as index:
                self._fill(index, texts, vectors, fingerprint, progress)
            (self._home / "new-index").rename(kept)
        for copy in (self._settings.index_dir, self._home / "own-index"):
            shutil.copytree(kept, copy)

    def _fill(
        self, index: VectorIndex, texts: list[str], vectors: Vectors, fingerprint: str, progress: Progress
    ) -> None:
        started = time.perf_counter()
        fill_index(index, texts, vectors, fingerprint, progress)
        self.notes.append(f"the index was built in {time.perf_counter() - started:.0f} s")

    def cold_starts(self) -> float:
        """Seconds from the query server's start to ready, the middle one of a few; a note has the index process's."""
        servers, indexes = [], []
        for _ in range(_COLD_STARTS):
            with processes.query_server(self._settings) as seconds:
                servers.append(seconds)
            if not self._settings.qdrant_url:
                with processes.index_process(self._settings) as seconds:
                    indexes.append(seconds)
        if indexes:
            self.notes.append(
                f"the index process, which is up before, answered {median(indexes):.2f} s after its start"
            )
        return median(servers)

    def start(self, stack: ExitStack, pythons: Mapping[str, Path]) -> dict[str, System]:
        """Start what is asked; all of it stays up until the end, so that systems can take turns."""
        settings, threads = self._settings, max(self._sizes.in_flight)
        embedder = stack.enter_context(closing(open_embedder(settings)))
        engine = open_index(settings) if settings.qdrant_url else EdgeIndex(self._home / "own-index")
        index: VectorIndex = stack.enter_context(closing(engine))
        inside = _beside(settings) if self._sizes.engine_inside and not settings.qdrant_url else None
        stack.enter_context(processes.query_server(settings))
        stack.enter_context(processes.gateway(settings))
        token = mint_token(settings, subject="bench", tenant=TENANT)
        gateway_dense = over_grpc(f"127.0.0.1:{settings.gateway_port}", token, query_pb2.SEARCH_MODE_DENSE)
        self.dense = {
            ENGINE: in_process(engine_only(embedder, index, SearchMode.DENSE), threads),
            SERVER: over_grpc(f"127.0.0.1:{settings.query_port}", token, query_pb2.SEARCH_MODE_DENSE),
            **dict.fromkeys((GATEWAY, REST, peers.DENSE), gateway_dense),
        }
        systems = {
            "model only": in_process(embed_only(embedder), threads),
            ENGINE: in_process(engine_only(embedder, index), threads),
            SERVER: over_grpc(f"127.0.0.1:{settings.query_port}", token),
            GATEWAY: over_grpc(f"127.0.0.1:{settings.gateway_port}", token),
            peers.DENSE: gateway_dense,
            REST: over_http(f"http://127.0.0.1:{settings.gateway_port}", "/api/v2/search", token),
        }
        if inside:
            stack.enter_context(processes.query_server(inside, engine_apart=False))
            systems[INSIDE] = over_grpc(f"127.0.0.1:{inside.query_port}", token)
            self.dense[INSIDE] = over_grpc(f"127.0.0.1:{inside.query_port}", token, query_pb2.SEARCH_MODE_DENSE)
        for name, whole, dense in peers.start(stack, pythons, settings, self._home) if pythons else ():
            systems[name], self.dense[name] = whole, dense
        return systems


Closed = dict[tuple[str, int], list[Outcome]]


async def _closed_loops(systems: dict[str, System], sizes: Sizes, progress: Progress) -> Closed:
    texts = _texts()
    results: Closed = {}
    steps = list(itertools.product(range(sizes.rounds), sizes.in_flight, systems))
    for done, (_, in_flight, name) in enumerate(steps):
        progress(done, len(steps))
        before = processes.processor_seconds()
        async with systems[name]() as call:
            asked, started = questions(texts, done * 1_000_000), time.perf_counter()
            outcome = await closed_loop(call, asked, in_flight=in_flight, seconds=sizes.seconds)
            answers = max(1.0, outcome.rate * (time.perf_counter() - started))
        spent = {
            process: 1000 * (seconds - before[process]) / answers
            for process, seconds in processes.processor_seconds().items()
        }
        results.setdefault((name, in_flight), []).append(replace(outcome, processor=spent))
    return results


async def _open_loop(system: System, sizes: Sizes) -> Outcome:
    async with system() as call:
        asked: Iterator[str] = questions(_texts(), 900_000_000)
        return await open_loop(call, asked, rate=sizes.rate, seconds=sizes.open_seconds or sizes.seconds * sizes.rounds)


def _busiest(closed: Closed) -> int:
    """The number of calls in flight at which the gateway answers most."""
    rates = {count: median([o.rate for o in outcomes]) for (name, count), outcomes in closed.items() if name == GATEWAY}
    return max(rates, key=lambda count: rates[count])


def _texts() -> list[str]:
    """Questions of a natural length in both languages, mixed: any stretch of them costs the same to answer."""
    english = [" ".join(sentence.split()[:10]) for sentence in itertools.islice(package_sentences(), 2000)]
    texts = english + chinese_sentences() * 20
    random.Random(0).shuffle(texts)
    return texts


def _report(
    sizes: Sizes,
    closed: Closed,
    recall: Mapping[str, float],
    opened: Outcome,
    cold: float,
    waves: Sequence[Wave],
    *,
    peer: bool,
) -> Report:
    rows: list[tuple[Cell, ...]] = []
    for (name, in_flight), outcomes in sorted(closed.items(), key=lambda item: item[0][1]):
        limit = median([outcome.rate for outcome in closed[ENGINE, in_flight]])
        figures = [median([getattr(outcome, field) for outcome in outcomes]) for field in ("rate", "p50", "p95", "p99")]
        failed = sum(outcome.failed for outcome in outcomes)
        share = figures[0] / limit if limit else None
        rows.append((in_flight, name, *figures, share, recall.get(name), failed))
    columns = ("in flight", "system", "answers/s", "p50 ms", "p95 ms", "p99 ms", "of the limit", "recall@10", "failed")
    loop = (sizes.rate, opened.rate, opened.p50, opened.p95, opened.p99, opened.failed)
    loop_columns = ("calls/s sent", "answers/s", "p50 ms", "p95 ms", "p99 ms", "failed")
    tables = (
        Table(f"Closed loop, {sizes.chunks} chunks", columns, tuple(rows)),
        _processor_table(closed),
        Table("Open loop through the gateway", loop_columns, (loop,)),
        *([overload_table(waves)] if waves else []),
    )
    notes = (
        f"{sizes.rounds} interleaved rounds of {sizes.seconds:g} s each",
        "the clients run on the same cores, but for the overload",
        "texts and BM25 are real, vectors embedded, beyond 5,000 between an embedded one and one near to it",
        "no two questions are equal, so no cache helps",
        "recall@10 is that of the system's dense leg against exact search",
        "the peers run the same model; their indexes are those that their own docs advise" if peer else "no peers",
    )
    return Report(
        "bench query",
        tables,
        (*_targets(sizes, closed, recall, opened, cold), *peers.targets(closed), *overload_targets(waves)),
        notes,
    )


_PROCESSES = ("query server", "index process", "gateway", processes.CLIENT)


def _processor_table(closed: Closed) -> Table:
    found = {in_flight: _processor(closed, in_flight) for name, in_flight in closed if name == GATEWAY}
    rows = tuple((in_flight, *spent, sum(spent)) for in_flight, spent in sorted(found.items()))
    return Table("Processor time of a search through the gateway, ms", ("in flight", *_PROCESSES, "all"), rows)


def _processor(closed: Closed, in_flight: int) -> list[float]:
    outcomes = closed[GATEWAY, in_flight]
    return [median([outcome.processor.get(process, 0.0) for outcome in outcomes]) for process in _PROCESSES]


def _targets(
    sizes: Sizes, closed: Closed, recall: Mapping[str, float], opened: Outcome, cold: float
) -> tuple[Target, ...]:
    best = {
        name: max(median([outcome.rate for outcome in closed[name, count]]) for count in sizes.in_flight)
        for name in (ENGINE, GATEWAY)
    }
    spread = opened.p99 / opened.p50 if opened.p50 else float("inf")
    busy = min(sizes.in_flight, key=lambda count: abs(count - 8))
    return (
        Target(f"processor time of a search, {busy} in flight, ms", sum(_processor(closed, busy)), 15, "/proc"),
        Target("best rate through the gateway / engine only", best[GATEWAY] / best[ENGINE], 0.6, ENGINE, at_least=True),
        Target(f"p99 / p50 at {sizes.rate:g} calls/s, {sizes.chunks} chunks", spread, 5, "same run"),
        Target(f"query server ready, {sizes.chunks} chunks, s", cold, 2, "from process start"),
        Target("recall@10 of the dense leg", recall[GATEWAY], 0.99, "exact search", at_least=True),
    )
