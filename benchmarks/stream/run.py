"""Report of the stream benchmark: event to searchable, delete to gone, and burst rate, beside Pathway."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.ingest.workbench import Workbench, open_workbench
from benchmarks.own_text import open_embedder
from benchmarks.peers.install import ensure_peer, run_peer
from benchmarks.ports import free_port
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.stream.feeds import Feed, InboxFeed, TopicFeed
from benchmarks.stream.ours import Measured, measure
from benchmarks.stream_texts import document
from benchmarks.timing import percentile, seconds
from rag_core.settings import Settings

PEER = "pathway==0.33.0"
_PEER_SECONDS = 3600
_SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Documents measured one after the other, and documents of the burst (one chunk each)."""

    documents: int = 200
    burst: int = 500


def run(settings: Settings, sizes: Sizes, *, peer: bool, progress: Progress, brokers: str | None = None) -> Report:
    """Measure the inbox, a topic when there are `brokers`, and the peer. Each starts with an empty index and embeds
    with the bundled model."""
    python = ensure_peer(settings, "pathway", [PEER]) if peer else None
    progress(0, 3)
    with open_workbench(settings) as workbench:
        if python is not None:
            _peer(python, workbench, Sizes(1, 1))  # one that cannot run fails before anything is measured
        alone = _model_alone(workbench.installation("onnx"), sizes.documents)
        ours = _measured(workbench, sizes, InboxFeed)
        progress(1, 3)
        topic = _measured(workbench, sizes, partial(TopicFeed, brokers=brokers)) if brokers else None
        progress(2, 3)
        other = _peer(python, workbench, sizes) if python is not None else None
    notes = (
        "the worker stores rows, vectors and index durably (PostgreSQL synchronous, index flushed) in every batch",
        "the peer keeps all of it in memory, commits its inputs every 5 ms and persists nothing; usage reports off"
        if other
        else "no peer in this run",
        f"seen by a search every 2 ms; {sizes.documents} documents of one chunk, one after the other, then a burst",
    )
    named = (("stream worker, inbox", ours), ("stream worker, Kafka topic", topic), (PEER, other))
    rows = [_row(name, measured) for name, measured in named if measured is not None]
    rows.append(("the model alone, a document", *_percentiles(alone), *("–" for _ in (*_SHARES, "burst"))))
    columns = (
        "what",
        *(f"searchable p{share} ms" for share in _SHARES),
        *(f"gone p{share} ms" for share in _SHARES),
        "burst, messages/s",
    )
    return Report("bench stream", (Table("From the change to the search", columns, tuple(rows)),),
                  _targets(ours, other), notes)  # fmt: skip


def _measured(workbench: Workbench, sizes: Sizes, feed: Callable[[Settings], Feed]) -> Measured:
    changes = {"stream_metrics_port": free_port(), "stream_canary_seconds": 0, "stream_report_seconds": 0}
    settings = workbench.installation("onnx").model_copy(update=changes)
    return measure(settings, feed(settings), sizes.documents, sizes.burst)


def _peer(python: Path, workbench: Workbench, sizes: Sizes) -> Measured:
    arguments = {"home": workbench.home, "documents": sizes.documents, "burst": sizes.burst}
    done = run_peer(python, "benchmarks.peers.pathway_app", arguments, timeout=_PEER_SECONDS)
    return Measured(done["searchable"], done["gone"], done["burst_rate"])


def _model_alone(settings: Settings, documents: int) -> list[float]:
    """Seconds to embed each document by itself: the rest of a push is the platform's."""
    with closing(open_embedder(settings)) as embedder:
        texts = [[document(number)] for number in range(-3, documents)]
        return [seconds(partial(embedder.embed_passages, text))[0] for text in texts][3:]  # the first few warm up


def _row(name: str, measured: Measured) -> tuple[Cell, ...]:
    return (name, *_percentiles(measured.searchable), *_percentiles(measured.gone), measured.burst_rate)


def _percentiles(times: list[float]) -> tuple[Cell, ...]:
    """In milliseconds."""
    return tuple(percentile(times, share) * 1000 for share in _SHARES)


def _targets(ours: Measured, other: Measured | None) -> tuple[Target, ...]:
    made = []
    for what, mine, theirs in (
        ("searchable", ours.searchable, other.searchable if other else None),
        ("gone", ours.gone, other.gone if other else None),
    ):
        for share, limit in ((50, 250.0), (99, 1000.0)):
            against = f"{PEER}: {percentile(theirs, share) * 1000:.3g} ms" if theirs else "no peer"
            made.append(Target(f"event to {what}, p{share} ms", percentile(mine, share) * 1000, limit, against))
    return tuple(made)
