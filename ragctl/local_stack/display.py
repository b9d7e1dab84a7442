"""Progress display of `rag up`: a live line per service on a terminal, a line per finished service elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from ragctl.output import console, note

_PLAIN_INTERVAL_SECONDS = 5.0
_FIGURES = re.compile(r"[0-9].*")


class Display(Protocol):
    """Shows the progress of each named step. `done` and `total` are in the unit that `unit` names."""

    def begin(self, name: str) -> None: ...

    def progress(self, name: str, done: int, total: int | None, unit: str = "") -> None: ...

    def ready(self, name: str, seconds: float, detail: str = "") -> None: ...

    def failed(self, name: str) -> None: ...


class Silent:
    """For JSON output."""

    def begin(self, name: str) -> None: ...

    def progress(self, name: str, done: int, total: int | None, unit: str = "") -> None: ...

    def ready(self, name: str, seconds: float, detail: str = "") -> None: ...

    def failed(self, name: str) -> None: ...


class Lines:
    """For pipes and logs: a line when something is ready or does something else than before, and now and then one for
    long work that has moved."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._shown: dict[str, str] = {}

    def begin(self, name: str) -> None: ...

    def progress(self, name: str, done: int, total: int | None, unit: str = "") -> None:
        amount = _amount(done, total, unit)
        if amount == self._shown.get(name):
            return
        if self._is_new_activity(name, amount) or time.monotonic() - self._last >= _PLAIN_INTERVAL_SECONDS:
            self._last = time.monotonic()
            self._shown[name] = amount
            note(f"  {name:<20} {amount}")

    def _is_new_activity(self, name: str, amount: str) -> bool:
        """Return whether it is another activity than the one that was shown last, whatever its figures are."""
        activities = (text.partition(";")[2] for text in (amount, self._shown.get(name, "")))
        now, shown = (_FIGURES.sub("", text) for text in activities)
        return now != shown

    def ready(self, name: str, seconds: float, detail: str = "") -> None:
        note(f"  {name:<20} {detail or 'ready'} ({seconds:.1f} s)")

    def failed(self, name: str) -> None:
        note(f"  {name:<20} failed")


class Live:
    """For terminals."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<20}"),
            TimeElapsedColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
        )
        self.progress_bars = Progress(*columns, console=console(stderr=True), refresh_per_second=4)
        self._tasks: dict[str, TaskID] = {}

    def begin(self, name: str) -> None:
        self._tasks[name] = self.progress_bars.add_task(name, total=None, detail="starting")

    def progress(self, name: str, done: int, total: int | None, unit: str = "") -> None:
        if name not in self._tasks:
            self.begin(name)
        self.progress_bars.update(
            self._tasks[name], completed=done, total=total or None, detail=_amount(done, total, unit)
        )

    def ready(self, name: str, seconds: float, detail: str = "") -> None:
        if name not in self._tasks:
            self.begin(name)
        self.progress_bars.update(self._tasks[name], total=1, completed=1, detail=detail or "ready")

    def failed(self, name: str) -> None:
        if name in self._tasks:
            self.progress_bars.update(self._tasks[name], detail="failed")


@contextmanager
def open_display(*, silent: bool) -> Iterator[Display]:
    """The display that fits: none for JSON output, live on a terminal, lines otherwise."""
    if silent:
        yield Silent()
    elif sys.stderr.isatty():
        live = Live()
        with live.progress_bars:
            yield live
    else:
        yield Lines()


def _amount(done: int, total: int | None, unit: str) -> str:
    return f"{done}{f'/{total}' if total else ''} {unit}".strip()
