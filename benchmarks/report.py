"""Benchmark reports: tables and targets, printed or as one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from benchmarks.machine import Machine, describe_machine
from ragctl.output import emit_json

Progress = Callable[[int, int | None], None]
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures under a title. Floats are shown with four digits."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the design's table of numbers: what was measured, what it must be, against what."""

    what: str
    measured: float
    limit: float
    against: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one benchmark. `notes` hold what a reader must know to trust or repeat the figures."""

    name: str
    tables: tuple[Table, ...] = ()
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = field(default_factory=lambda: _command())
    machine: Machine = field(default_factory=describe_machine)

    def as_dict(self) -> dict[str, object]:
        """The JSON form; targets carry `met`."""
        return asdict(self) | {"targets": [asdict(target) | {"met": target.met} for target in self.targets]}


def joined(first: Report, second: Report) -> Report:
    """Two reports of one command as one."""
    tables, targets = (*first.tables, *second.tables), (*first.targets, *second.targets)
    return replace(first, tables=tables, targets=targets, notes=(*first.notes, *second.notes))


_collections: list[list[Report]] = []


@contextmanager
def collecting() -> Iterator[list[Report]]:
    """The reports that are shown meanwhile."""
    shown: list[Report] = []
    _collections.append(shown)
    try:
        yield shown
    finally:
        _collections.remove(shown)


def show(report: Report, *, as_json: bool) -> None:
    """Print a report on standard output."""
    for shown in _collections:
        shown.append(report)
    if as_json:
        emit_json(report.as_dict())
        return
    print(f"{report.name}: {report.command}\n{report.machine}")
    for table in report.tables:
        _print_table(table)
    if report.targets:
        _print_table(_targets_table(report.targets))
    for note in report.notes:
        print(f"note: {note}")


def _targets_table(targets: Sequence[Target]) -> Table:
    rows = tuple(
        (
            target.what,
            target.measured,
            f"{'>=' if target.at_least else '<='} {target.limit:g}",
            "met" if target.met else "MISSED",
            target.against,
        )
        for target in targets
    )
    return Table("Targets", ("what", "measured", "target", "", "against"), rows)


def _print_table(table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(*table.columns, title=table.title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for row in table.rows:
        grid.add_row(*(Text(_cell(value), overflow="fold") for value in row))
    Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False).print(grid)


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _command() -> str:
    return " ".join(["rag", *sys.argv[1:]])
