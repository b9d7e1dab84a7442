"""Count processor time, wake-ups, statements and memory of each part of the running stack over some seconds."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.report import Report, Table, Target
from rag_assets.config import read_sources
from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.processes import stack_processes

SHARE_TARGETS = ((3, 5.0), (103, 8.0), (1003, 15.0))
"""Up to so many sources, the three of a new stack among them, at most this share of a core in percent."""
MEMORY_TARGET_MB = 1800.0
_COUNTED = (
    "SELECT xact_commit + xact_rollback, tup_returned, sessions FROM pg_stat_database"
    " WHERE datname = current_database()"
)


@dataclass(slots=True)
class Usage:
    """Counts of one part: seconds of processor time, voluntary context switches, bytes of its share of memory."""

    seconds: float = 0.0
    wakeups: int = 0
    memory: float = 0.0


def run(
    settings: Settings, *, seconds: int = 60, progress: Callable[[int, int | None], None] = lambda *_: None
) -> Report:
    """Measure the stack of these settings as it is. Raises `Unavailable` (`START_FAILED`) when it does not run."""
    state = DataDir.of(settings).read_state()
    stack = state.stack_id if state is not None else ""
    if not stack_processes(stack):
        raise Unavailable(Reason.START_FAILED, "the local stack does not run: `rag up` starts it")
    with psycopg.connect(settings.effective_database_url, autocommit=True) as database:
        before, rows = _processes(stack), _counted(database)
        for second in range(seconds):
            progress(second, seconds)
            time.sleep(1)
        after, counted = _processes(stack), _counted(database)
    used = _by_part(before, after)
    transactions, returned, sessions = (later - earlier for earlier, later in zip(rows, counted, strict=True))
    sources = len(read_sources(settings.effective_sources_dir).sources)
    share = 100 * sum(part.seconds for part in used.values()) / seconds
    memory = sum(part.memory for part in used.values()) / 1e6
    limit = next((percent for most, percent in SHARE_TARGETS if sources <= most), SHARE_TARGETS[-1][1])
    return Report(
        "idle",
        tables=(
            _table(used, seconds, sources),
            Table(
                "PostgreSQL, a minute",
                ("transactions", "rows read", "connections opened"),
                (tuple(round(count * 60 / seconds) for count in (transactions, returned, sessions)),),
            ),
        ),
        targets=(
            Target("percent of a core", share, limit, f"{sources} sources"),
            Target("memory, MB", memory, MEMORY_TARGET_MB, "proportional set size of all processes"),
        ),
        notes=("Nothing may be asked or changed meanwhile; run it a few minutes after the last change of a source.",),
    )


def _table(used: dict[str, Usage], seconds: int, sources: int) -> Table:
    rows = [(name, *_figures(part, seconds)) for name, part in sorted(used.items(), key=lambda one: -one[1].seconds)]
    whole = Usage(*(sum(getattr(part, name) for part in used.values()) for name in ("seconds", "wakeups", "memory")))
    columns = ("part", "processor time, s a minute", "% of a core", "wake-ups a second", "memory, MB")
    return Table(f"at rest with {sources} sources", columns, (*rows, ("all", *_figures(whole, seconds))))


def _figures(part: Usage, seconds: int) -> tuple[float, float, float, float]:
    return (
        round(part.seconds * 60 / seconds, 2),
        round(100 * part.seconds / seconds, 2),
        round(part.wakeups / seconds, 1),
        round(part.memory / 1e6),
    )


def _counted(database: psycopg.Connection[tuple[int, int, int]]) -> tuple[int, int, int]:
    found = database.execute(_COUNTED).fetchone()
    assert found is not None  # noqa: S101
    return found


def _processes(stack: str) -> dict[tuple[int, float], tuple[str, Usage]]:
    """Return the part and the counts of each process, with those of the children that the database's server has."""
    found = {}
    for item in stack_processes(stack):
        with suppress(psutil.Error, OSError):
            for process in [item.process, *_workers(item.process)]:
                found[process.pid, process.create_time()] = (item.service or "supervisord", _usage(process))
    return found


def _workers(process: psutil.Process) -> Iterable[psutil.Process]:
    """Return the children of PostgreSQL, whose environment shows no mark: they write their titles over it."""
    return (child for child in process.children(recursive=True) if child.name() == "postgres")


def _usage(process: psutil.Process) -> Usage:
    times = process.cpu_times()
    proc = Path(f"/proc/{process.pid}")
    threads = (status.read_text() for status in proc.glob("task/*/status"))
    wakeups = sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in threads)
    shared = next(line for line in (proc / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return Usage(times.user + times.system, wakeups, int(shared.split()[1]) * 1024)


def _by_part(
    before: dict[tuple[int, float], tuple[str, Usage]], after: dict[tuple[int, float], tuple[str, Usage]]
) -> dict[str, Usage]:
    used: dict[str, Usage] = defaultdict(Usage)
    for process, (name, now) in after.items():
        earlier = before.get(process, (name, Usage()))[1]
        used[name].seconds += now.seconds - earlier.seconds
        used[name].wakeups += now.wakeups - earlier.wakeups
        used[name].memory += now.memory
    return dict(used)
