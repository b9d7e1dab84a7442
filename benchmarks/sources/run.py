"""Add folders to the running stack, change files and the readers of a row, and look for each change by searches."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.ingest.corpus import write_corpus
from benchmarks.processes import leaving_nothing
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.timing import median, percentile
from rag_assets.config import read_sources
from rag_assets.source_admin import SourceFolder, find_removable, parse_definition, remove, render_definition
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.display import Silent
from ragctl.local_stack.ingest import Sync
from ragctl.tokens import DEFAULT_TENANT

_ROW_SECONDS = 5
"""Interval at which the table is looked at."""
_LOST_SECONDS = 300.0
_PAUSE = 0.02
_FIRST = "first"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many folders of two files are added, changes of each kind before and after, and documents of a folder whose
    first load runs beside further ones."""

    folders: int = 100
    rounds: int = 10
    beside: int = 0


@dataclass(slots=True)
class _Measured:
    """Seconds of each change of one kind."""

    written: list[float] = field(default_factory=list)
    deleted: list[float] = field(default_factory=list)
    restricted: list[float] = field(default_factory=list)


def run(settings: Settings, sizes: Sizes, *, progress: Progress = lambda *_: None) -> Report:
    """Measure on the stack of these settings, and remove what was added.

    Raises `Unavailable` (`START_FAILED`) when it does not run.
    """
    folder = Path(tempfile.mkdtemp(prefix="rag-bench-sources-"))
    with leaving_nothing(), closing(_Installation(settings, folder)) as stack:
        before = len(read_sources(settings.effective_sources_dir).sources)
        stack.add_table()
        stack.add(_FIRST, files=2)
        stack.load()
        few = stack.measure(sizes.rounds)
        progress(1, 3)
        for number in range(sizes.folders):
            stack.add(f"folder-{number}", files=2)
        loaded = stack.load()
        progress(2, 3)
        many = stack.measure(sizes.rounds)
        beside = stack.measure_beside(sizes.beside, sizes.rounds) if sizes.beside else _Measured()
        progress(3, 3)
    all_sources = before + 2 + sizes.folders
    measured = [(str(before + 2), few), (str(all_sources), many)]
    if sizes.beside:
        measured.append((f"{all_sources}, beside a first load of {sizes.beside} documents", beside))
    rows = [row for sources, found in measured for row in _rows(sources, found)]
    changes = [seconds for _, found in measured for seconds in (*found.written, *found.deleted)]
    return Report(
        "sources",
        tables=(
            Table("first loads", ("folders of two files", "all searchable, s"), ((sizes.folders, round(loaded, 2)),)),
            Table("changes", ("change", "sources", "median, s", "p95, s", "slowest, s"), tuple(rows)),
        ),
        targets=(
            Target("first loads, s", loaded, 60, f"{sizes.folders} folders of two files"),
            Target("a changed or deleted file, median, s", median(changes), 2, "searchable or gone"),
            Target("a changed or deleted file, p95, s", percentile(changes, 95), 5, "searchable or gone"),
            Target(
                "readers of a row, s",
                max(seconds for _, found in measured for seconds in found.restricted),
                _ROW_SECONDS + 2,
                "slowest",
            ),
        ),
        notes=("what was added is removed at the end",),
    )


def _rows(sources: str, found: _Measured) -> Iterator[tuple[str | int | float, ...]]:
    kinds = {"a written file is searchable": found.written, "a deleted file is gone": found.deleted,
             f"a row is hidden, looked at every {_ROW_SECONDS} s": found.restricted}  # fmt: skip
    for kind, seconds in kinds.items():
        yield kind, sources, round(median(seconds), 2), round(percentile(seconds, 95), 2), round(max(seconds), 2)


class _Installation:
    """The running stack, what was added to it, and a client that searches."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._files = SourceFolder(settings.effective_sources_dir)
        self._added: list[str] = []
        self._prefix = f"bench-{secrets.token_hex(3)}"
        token = DataDir.of(settings).dev_token
        if not token.exists():
            raise Unavailable(Reason.START_FAILED, "the local stack does not run: `rag up` starts it")
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{settings.gateway_port}", timeout=30, trust_env=False,
            headers={"authorization": f"Bearer {token.read_text().strip()}"},
        )  # fmt: skip

    def add(self, name: str, *, files: int) -> None:
        root = self._folder / name
        root.mkdir()
        for number in range(files):
            (root / f"{number}.md").write_text(f"# Note {number}\n\nNote {number} of {name} is about valves.\n")
        self._add(name, ["everyone"], {"kind": "filesystem", "root": str(root)})

    def add_table(self) -> None:
        with self._database() as database:
            database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT, readers TEXT, changed INTEGER)")
        options = {"kind": "sql", "database": {"driver": "sqlite", "path": str(self._folder / "rows.sqlite")},
                   "table": "rows", "key": "id", "updated_at": "changed", "content": "body", "overlap": 0,
                   "acl": {"column": "readers"}}  # fmt: skip
        self._add("table", None, options, sensor={"interval_seconds": _ROW_SECONDS})

    def _add(self, what: str, acl: list[str] | None, options: dict[str, Any], **more: Any) -> None:
        name = f"{self._prefix}-{what}"
        attributes = {"name": name, "tenant": DEFAULT_TENANT, "options": options} | more | ({"acl": acl} if acl else {})
        text = render_definition(attributes)
        self._files.add(parse_definition(text), text)
        self._added.append(name)

    def load(self) -> float:
        """Seconds until all that was added is searchable."""
        began = time.monotonic()
        with closing(Sync(self._settings)) as sync:
            jobs = [sync.jobs[name] for name in self._added]
            sync.wait_for_worker(sync.first_loads(jobs), Silent())
        return time.monotonic() - began

    def measure_beside(self, documents: int, rounds: int) -> _Measured:
        """Measure while a folder of so many documents is read for the first time.

        Raises `Unavailable` (`START_FAILED`) when that failed or ended before: it was too small.
        """
        write_corpus(self._folder / "large", documents, paragraphs=1)
        self._add("large", ["everyone"], {"kind": "filesystem", "root": str(self._folder / "large")})
        with ThreadPoolExecutor(1) as threads, closing(Sync(self._settings)) as sync:
            jobs = [sync.jobs[self._added[-1]]]
            sync.start(jobs)
            load = threads.submit(sync.wait, jobs, Silent())
            found = self.measure(rounds)
            ended = load.done()
            (outcome,) = load.result()
        if ended or not outcome.succeeded:
            what = "ended before the changes" if outcome.succeeded else f"failed: {outcome.reason}"
            raise Unavailable(Reason.START_FAILED, f"the first load of {documents} documents {what}")
        return found

    def measure(self, rounds: int) -> _Measured:
        found = _Measured()
        for number in range(rounds):
            word, path = f"zyx{secrets.token_hex(5)}", self._folder / _FIRST / f"new{number}.md"
            found.written.append(self._until(word, lambda path=path, word=word: path.write_text(f"The word {word}.\n")))  # type: ignore[misc]
            found.deleted.append(self._until(word, path.unlink, there=False))
            row = f"row{secrets.token_hex(5)}"
            self._until(row, lambda row=row, number=number: self._write(number, row, "everyone"))  # type: ignore[misc]
            hide = lambda row=row, number=number: self._write(number, row, "user:nobody-else")  # noqa: E731
            found.restricted.append(self._until(row, hide, there=False))
        return found

    def _write(self, key: int, word: str, readers: str) -> None:
        with self._database() as database:
            row = (key, f"The word of this row is {word}.", readers, time.time_ns())
            database.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", row)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._folder / "rows.sqlite", isolation_level=None)) as opened:
            yield opened

    def _until(self, word: str, change: Callable[[], object], *, there: bool = True) -> float:
        """Seconds from a change until a search finds the word, or finds it no more."""
        change()
        began = time.monotonic()
        while self._finds(word) is not there:
            if time.monotonic() - began > _LOST_SECONDS:
                raise Unavailable(Reason.START_FAILED, f"a change was not seen within {_LOST_SECONDS:.0f} s")
            time.sleep(_PAUSE)
        return time.monotonic() - began

    def _finds(self, word: str) -> bool | None:
        asked = {"query": word, "mode": "SEARCH_MODE_LEXICAL", "top_k": 3}
        answer = self._client.post("/api/v2/search", json=asked)
        if answer.status_code != httpx.codes.OK:
            return None
        return any(word in str(passage) for passage in answer.json().get("passages", ()))

    def close(self) -> None:
        """Remove every source that was added."""
        self._client.close()
        with Pipeline(self._settings) as pipeline:
            for name in self._added:
                removable = find_removable(pipeline, name, DEFAULT_TENANT, self._files.find(name))
                remove(pipeline, removable, f"bench-{name}", actor="rag bench sources")
        shutil.rmtree(self._folder, ignore_errors=True)
