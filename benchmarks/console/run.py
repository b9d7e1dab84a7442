"""Report of the console benchmark: a seeded stack, pages painted one by one, then many sessions at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from benchmarks.console.paint import Painted, paint
from benchmarks.console.seed import seed
from benchmarks.console.sessions import Session, together
from benchmarks.console.stack import running_stack
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.timing import median, percentile
from rag_core.settings import Settings

_PAINT_SECONDS, _LIMIT_SECONDS = 1.0, 2.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """Contents of the platform, and the load on its console."""

    sources: int = 200
    runs: int = 10_000
    documents: int = 10_000
    sessions: int = 20
    rounds: int = 5
    refreshes: int = 1


def run(settings: Settings, sizes: Sizes, *, progress: Progress) -> Report:
    """Start a stack, fill it, measure, and remove it."""
    with running_stack(settings, sizes.sources) as stack:
        seed(stack, sources=sizes.sources, runs=sizes.runs, documents=sizes.documents)
        painted = paint(stack, sizes.rounds, progress)
        sessions = asyncio.run(together(stack, sizes.sessions, sizes.refreshes))
    opened = [seconds for session in sessions for _, seconds in session.opened]
    refreshed = [seconds for session in sessions for seconds in session.refreshed]
    tables = [_pages(sessions), _together(opened, refreshed)]
    sessions_at_once = f"{sizes.sessions} sessions at once"
    targets = [
        Target("page opened by one of the sessions, p95 s", percentile(opened, 95), _LIMIT_SECONDS, sessions_at_once)
    ]
    if painted is not None:
        tables.insert(0, _painted(painted))
        targets[:0] = [
            Target(f"{what}, all pages, p95 s", percentile(_all(seconds), 95), _PAINT_SECONDS, "one visitor")
            for what, seconds in (
                ("page opened", painted.opened),
                ("page moved to, first time in a tab", painted.moved_to),
                ("page moved to again", painted.again),
            )
        ]
    notes = (
        f"{sizes.sources} sources, {sizes.runs} runs in Dagster and in the tables, {sizes.documents} documents",
        f"{sizes.sessions} sessions open every page in turn, all at once; on each their fragments refresh"
        f" {sizes.refreshes} time(s), 5 s apart",
        "sessions speak the console's own protocol over WebSocket; pages are painted by Chromium"
        if painted is not None
        else "no Chromium or no Playwright: pages were not painted",
    )
    return Report("bench console", tuple(tables), tuple(targets), notes)


def _painted(painted: Painted) -> Table:
    ways = (painted.opened, painted.moved_to, painted.again)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (page, *(figure for way in ways for figure in _median_and_slowest(way.get(page)))) for page in painted.opened
    )
    columns = ("page", *(f"{way}: {of} s" for way in ("opened", "moved to", "again") for of in ("median", "slowest")))
    return Table("Painted in Chromium, one visitor", columns, rows)


def _median_and_slowest(seconds: list[float] | None) -> tuple[Cell, Cell]:
    return (median(seconds), max(seconds)) if seconds else ("–", "–")


def _all(by_page: dict[str, list[float]]) -> list[float]:
    return [second for seconds in by_page.values() for second in seconds]


def _pages(sessions: list[Session]) -> Table:
    by_page: dict[str, list[float]] = {}
    for session in sessions:
        for page, seconds in session.opened:
            by_page.setdefault(page, []).append(seconds)
    rows = tuple((page, median(found), percentile(found, 95)) for page, found in by_page.items())
    return Table(f"Opened by {len(sessions)} sessions at once", ("page", "median s", "p95 s"), rows)


def _together(opened: list[float], refreshed: list[float]) -> Table:
    measured = [("open a page", opened), *([("refresh", refreshed)] if refreshed else [])]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (what, len(found), *(percentile(found, share) for share in (50, 95, 99))) for what, found in measured
    )
    return Table("All sessions together", ("what", "times", "p50 s", "p95 s", "p99 s"), rows)
