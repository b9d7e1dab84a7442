"""Source files with what they describe, and an observer of them."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import yaml

from rag_assets.connectors import connector_context, open_connector
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.listed.observed import ObservedSource
from rag_assets.stream_worker.listed.observer import SourceObserver
from rag_core.content.sources import Scope
from rag_core.content.streams import store as streams
from rag_core.ingestion.pipeline import Pipeline, StageDependencies, run_pipeline
from rag_core.ingestion.source_status import WORKER_ENTRY, ObservableSource, RunState, SourceRun, observable_store
from rag_core.ingestion.source_status import store as status
from tests.support.stream import StreamHarness


class Installation:
    """Source files with folders behind them, and an observer that runs in a thread."""

    def __init__(self, stream: StreamHarness, folder: Path) -> None:
        self.stream, self.folder = stream, folder
        stream.settings.effective_sources_dir.mkdir(parents=True)
        self.configs: dict[str, SourceConfig] = {}
        self._observer: SourceObserver | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._follows: dict[str, bool] = {}

    def write(self, name: str, files: int = 3) -> Path:
        root = self.folder / name
        root.mkdir()
        for number in range(files):
            (root / f"{number}.md").write_text(f"Document {number} of {name} says pump.")
        return root

    def add(self, name: str, *, tenant: str = "acme", files: int = 3, **changes: Any) -> Path:
        """A source of a folder that a run has listed."""
        root = self.write(name, files)
        self.configure(name, tenant=tenant, **changes)
        self.run(name)
        return root

    def configure(self, name: str, *, tenant: str = "acme", follows: bool | None = True, **changes: Any) -> None:
        """Write the file of a source; with `follows=None` Dagster has not loaded it."""
        options = {"kind": "folder", "root": str(self.folder / name)}
        attributes = {"name": name, "tenant": tenant, "acl": ["everyone"], "options": options} | changes
        document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        self.configs[name] = SourceConfig.model_validate(attributes)
        (self.stream.settings.effective_sources_dir / f"{name}.yaml").write_text(yaml.safe_dump(document))
        if follows is not None:
            self.switch(name, follows=follows)

    def switch(self, name: str, *, follows: bool) -> None:
        self._follows[name] = follows
        seen = [
            status.Observation(one.tenant, one.name, one.options.kind, True, self._follows[one.name], False, None)
            for one in self.configs.values()
            if one.name in self._follows
        ]
        with self.stream.store.engine.begin() as connection:
            status.observe(connection, seen)

    def run(self, name: str) -> None:
        """What a run of Dagster does."""
        config = self.configs[name]
        context = connector_context(config, self.stream.settings, self.stream.store)
        with open_connector(config, context) as connector:
            run_pipeline(self.stream, Scope(config.source, f"run-{name}"), connector=connector)
        self.record(name, RunState.SUCCEEDED)

    def record(self, name: str, state: RunState, run_id: str = "") -> None:
        moment = datetime.now(UTC)
        run = SourceRun(0, run_id or f"run-{name}", state, moment, moment, moment)
        with self.stream.store.engine.begin() as connection:
            status.record_runs(connection, self.configs[name].tenant, name, [run])

    def start(self, refresh: float = 0.2) -> None:
        self._stopping.clear()
        self._observer = SourceObserver(cast(Pipeline, self.stream), refresh_seconds=refresh, spare_seconds=0)
        self._thread = threading.Thread(target=self._observer.run, args=(self._stopping,))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def observed(self, name: str) -> ObservedSource | None:
        assert self._observer is not None
        return next((one for one in self._observer.sources if one.config.name == name), None)

    @property
    def wanted(self) -> dict[tuple[str, str], str]:
        assert self._observer is not None
        return {(one["tenant"], one["source"]): one["tag"] for one in self._observer.status()["wanted"]}

    def is_looked_at(self, name: str) -> bool:
        one = self.observed(name)
        return one is not None and bool(one.tag) and not one.working

    def is_watched(self, name: str) -> bool:
        """Whether the last look knew that the source's folder reports every change."""
        one = self.observed(name)
        return one is not None and one.reports_all and not one.working

    def rest(self, name: str) -> float | None:
        """Seconds until the next look at a source that did not change; `None` while a look is due."""
        one = self.observed(name)
        if one is None or one.changed or one.working or not one.unchanged:
            return None
        return one.due - time.monotonic()

    def texts(self) -> dict[str, str]:
        return self.stream.texts()

    def acl(self, locator: str) -> list[str] | None:
        """Who may find a document, as the index says."""
        points = [point.payload for point in self.stream.flow.points() if point.payload.locator == locator]
        return list(points[0].acl) if points else None

    def read(self) -> set[str]:
        """The sources whose state is searchable as a whole."""
        return {name for (name,) in self.stream.all("SELECT name FROM rag.sources WHERE change_token IS NOT NULL")}

    def beat(self) -> None:
        assert self._observer is not None
        with self.stream.store.engine.begin() as connection:
            streams.heartbeat(connection, "worker", {WORKER_ENTRY: self._observer.status()})

    def left(self, *names: str) -> set[str]:
        places = [(self.configs[name].tenant, name) for name in names]
        with self.stream.store.engine.connect() as connection:
            return {name for _, name in observable_store.left_to_workers(connection, places, within_seconds=60)}

    def held(self) -> int:
        return int(self.stream.all("SELECT sum(held_deletions) FROM rag.sources")[0][0])

    def limit(self, **settings: int | str) -> None:
        self.stream.settings = self.stream.settings.model_copy(update=settings)

    def newest_run(self, name: str) -> ObservableSource:
        place = self.configs[name].tenant, name
        with self.stream.store.engine.connect() as connection:
            return observable_store.observable(connection, {place: True})[place]

    @property
    def resources(self) -> StageDependencies:
        return self.stream


class Table:
    """A table whose rows say who may read them."""

    def __init__(self, path: Path) -> None:
        self.path, self._changed = path, 0
        self._execute("CREATE TABLE articles (id INTEGER PRIMARY KEY, body TEXT, readers TEXT, changed INTEGER,"
                      " gone INTEGER)")  # fmt: skip

    @property
    def options(self) -> dict[str, Any]:
        return {
            "kind": "sql", "database": {"driver": "sqlite", "path": str(self.path)}, "table": "articles", "key": "id",
            "updated_at": "changed", "content": "body", "deleted": "gone", "acl": {"column": "readers"}, "overlap": 0,
        }  # fmt: skip

    def write(self, key: int, body: str, readers: str, gone: int = 0) -> None:
        self._changed += 1
        row = (key, body, readers, self._changed, gone)
        self._execute("INSERT OR REPLACE INTO articles VALUES (?, ?, ?, ?, ?)", *row)

    def delete(self, key: int) -> None:
        self.write(key, "", "", 1)

    def _execute(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(statement, values)
