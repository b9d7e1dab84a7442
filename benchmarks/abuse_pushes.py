"""Push fairness: latency of one tenant's pushes while another tenant pushes the slowest documents possible."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial

from benchmarks.ingest.workbench import open_workbench
from benchmarks.ports import free_port
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.stream_texts import document
from benchmarks.timing import percentile
from rag_assets.stream_worker.worker import Worker
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store, open_store
from rag_core.errors import Exhausted, Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.ids import document_id
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

HONEST, HOSTILE = "honest", "hostile"
TARGET_SECONDS = 1.0
_EVERY_SECONDS = 0.5
_POLL_SECONDS = 0.005
_LIMIT_SECONDS = 120.0

WORST = (
    ("text/plain", b"." * 147_000),
    ("text/plain", b"a. " * 300_000),
    ("text/markdown", b"[" * 100_000),
    ("text/html", b"<div>" * 30_000),
    ("text/plain", "。".encode() * 50_000),
    ("text/plain", b"# word word word\n" * 1_500),
    ("application/json", b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
)
"""Documents that cost as much as their size allows, one of each in turn; the smaller ones stay below the large reader's
limit."""


@dataclass(slots=True)
class Measured:
    """Seconds from a push to the search that finds it, and what the hostile tenant got in meanwhile."""

    seconds: list[float] = field(default_factory=list)
    hostile: int = 0
    refused: int = 0


def run(settings: Settings, *, seconds: float, progress: Progress) -> Report:
    """Push quietly for `seconds`, then beside a tenant that pushes `WORST` without pause."""
    progress(0, 2)
    with open_workbench(settings) as workbench:
        ports = {"stream_metrics_port": free_port(), "stream_canary_seconds": 0, "stream_report_seconds": 0}
        own = workbench.installation("onnx").model_copy(update=ports)
        worker = Worker(own)
        thread = threading.Thread(target=worker.run, name="worker")
        thread.start()
        store = open_store(own)
        try:
            if not worker.ready.wait(_LIMIT_SECONDS) or worker.pipeline is None:
                raise Unavailable(Reason.START_FAILED, "the stream worker did not start")
            measure = partial(_measure, store, worker.pipeline.index, own, seconds)
            measure(hostile=False, warm_up=True)
            quiet = measure(hostile=False)
            progress(1, 2)
            beside = measure(hostile=True)
        finally:
            worker.stop()
            thread.join(_LIMIT_SECONDS)
            store.close()
    progress(2, 2)
    return _report(quiet, beside, seconds)


def _measure(
    store: Store, index: VectorIndex, settings: Settings, seconds: float, *, hostile: bool, warm_up: bool = False
) -> Measured:
    measured, stopping = Measured(), threading.Event()
    attacker = threading.Thread(target=_attack, args=(store, settings, measured, stopping), name=HOSTILE)
    if hostile:
        attacker.start()
    until = time.monotonic() + (min(5.0, seconds) if warm_up else seconds)
    number = 0
    try:
        while time.monotonic() < until:
            began = time.monotonic()
            measured.seconds.append(_push_and_find(store, index, settings, number))
            number += 1
            time.sleep(max(0.0, _EVERY_SECONDS - (time.monotonic() - began)))
    finally:
        stopping.set()
        if hostile:
            attacker.join(_LIMIT_SECONDS)
    return measured


def _push_and_find(store: Store, index: VectorIndex, settings: Settings, number: int) -> float:
    began = time.perf_counter()
    word = f"marker{time.time_ns():x}"
    content = f"{document(number)} {word}".encode()
    _push(
        store, settings, PushedChange(HONEST, "push", f"{number}.txt", "bench", content, "text/plain", acl=(EVERYONE,))
    )
    wanted = str(document_id(HONEST, "push", f"{number}.txt"))
    request = SearchRequest(HONEST, (EVERYONE,), limit=3, mode=SearchMode.LEXICAL, text=word)
    while not any(str(hit.payload.doc_id) == wanted and word in hit.payload.text for hit in index.search(request).hits):
        if time.perf_counter() - began > _LIMIT_SECONDS:
            raise Unavailable(Reason.DEADLINE, f"not searchable within {_LIMIT_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - began


def _attack(store: Store, settings: Settings, measured: Measured, stopping: threading.Event) -> None:
    while not stopping.is_set():
        media_type, content = WORST[measured.hostile % len(WORST)]
        name = f"{measured.hostile}"
        source = f"push{measured.hostile % 5}"
        change = PushedChange(HOSTILE, source, name, "bench", content, media_type, acl=(EVERYONE,))
        try:
            _push(store, settings, change)
            measured.hostile += 1
        except Exhausted:
            measured.refused += 1
        stopping.wait(0.02)


def _push(store: Store, settings: Settings, change: PushedChange) -> None:
    with store.engine.begin() as connection:
        inbox.accept(
            connection,
            change,
            max_pending=settings.inbox_max_pending,
            max_pending_of_tenant=settings.inbox_max_pending_of_tenant,
        )


def _report(quiet: Measured, beside: Measured, seconds: float) -> Report:
    columns = ("beside", "pushes", "p50 ms", "p95 ms", "longest ms", "hostile pushes")
    rows = tuple(
        (
            name,
            len(one.seconds),
            percentile(one.seconds, 50) * 1000,
            percentile(one.seconds, 95) * 1000,
            max(one.seconds) * 1000,
            one.hostile,
        )
        for name, one in (("nobody", quiet), ("a hostile tenant", beside))
    )
    target = Target(
        "push to searchable beside a hostile tenant, p95 ms",
        percentile(beside.seconds, 95) * 1000,
        TARGET_SECONDS * 1000,
        f"quiet: {percentile(quiet.seconds, 95) * 1000:.3g} ms",
    )
    notes = (f"{seconds:.0f} s each; one honest push after the other, every {_EVERY_SECONDS} s at most",)
    return Report("bench abuse: pushes", (Table("From an honest push to the search", columns, rows),), (target,), notes)
