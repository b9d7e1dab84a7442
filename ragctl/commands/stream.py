"""`rag stream`: the worker that applies pushed documents and Kafka topics, and the offsets of its streams."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from rag_core.content import streams
from ragctl.commands._shared import actor
from ragctl.output import Json, emit, emit_json, progress_bar, say, table

app = App(
    name="stream",
    help="Stream worker: apply changes as they arrive, show the status, drain, reset an offset.\n\nExample: rag stream",
    help_format="plaintext",
)


@app.default
def run(*, json: Json = False) -> int:
    """Run a worker until Ctrl-C or SIGTERM. `rag up` runs one already.

    Example: rag stream
    """
    from rag_assets.stream_worker.worker import run_until_signal
    from rag_core.logging import configure_logging
    from rag_core.settings import Settings

    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    at_rest, totals = run_until_signal(settings)
    if json:
        emit_json(totals)
    return 0 if at_rest else 1


@app.command
def status(*, json: Json = False) -> int:
    """Show workers, streams and pending changes. Exits with 1 when no worker is alive.

    Example: rag stream status
    """
    from rag_assets.stream_worker.waiting import overview
    from rag_core.settings import Settings

    found = overview(Settings.load())
    living, waiting = found["alive"], found["inbox"]
    if json:
        emit_json(found)
        return int(not living)
    rows = [
        (worker["worker"], name, worker["shown"] or stream.get("state", ""), _lag(stream), stream.get("applied", 0),
         stream.get("dead", 0))
        for worker in found["workers"]
        for name, stream in worker["details"].items()
    ]  # fmt: skip
    table(("worker", "stream", "state", "waiting", "applied", "dead"), rows, empty="no worker has been seen")
    for one in streams.store.halted_sources(worker for worker in found["workers"] if not worker["shown"]):
        say(f"source {one['source']} of tenant {one['tenant']} is halted: {one['reason']}; the others continue")
    for name, count in found["topics"].items():
        say(f"{name}: {count} waiting")
    say(
        f"inbox: {waiting['waiting']} waiting, the oldest for {waiting['seconds']:.1f} s;"
        f" {found['dead_letters']} dead letters; {len(living)} worker(s) alive"
    )
    return int(not living)


def _lag(stream: dict[str, object]) -> str:
    if "lag" not in stream:
        return ""
    return f"{stream['lag']}, {stream['lag_seconds']} s" if stream["lag_seconds"] else str(stream["lag"])


@app.command
def drain(*, json: Json = False) -> None:
    """Apply the pending changes of every stream, then exit. For a machine without a worker.

    Example: rag stream drain
    """
    from rag_assets.stream_worker.drain import drain_all
    from rag_core.settings import Settings

    with progress_bar("draining") as progress:
        counts = drain_all(Settings.load(), progress)
    emit(counts, ", ".join(f"{name}: {count}" for name, count in counts.items()) or "no stream", json=json)


@app.command
def reset(source: str, /, *, to: Literal["earliest", "latest"], json: Json = False) -> None:
    """Reset the offsets of a Kafka source after OFFSET_OUT_OF_RANGE. Recorded in the audit log.

    Example: rag stream reset tickets --to earliest

    Parameters
    ----------
    source
        Name of the source.
    to
        earliest: read everything that the topic still holds; latest: skip it.
    """
    from rag_assets.stream_worker.waiting import reset_position
    from rag_core.settings import Settings

    positions = reset_position(Settings.load(), source, to=to, actor=actor())
    emit(
        {str(partition): offset for partition, offset in positions.items()},
        f"{source}: " + ", ".join(f"partition {number} at {at}" for number, at in sorted(positions.items())),
        json=json,
    )
