"""Small sources that tests change, one for each kind of connector: the rows of the contract suite."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag_assets.testing import Place
from tests.support.git_server import Repository
from tests.support.llama_readers import Notes
from tests.support.s3 import Bucket
from tests.support.sites import Site
from tests.unit.rag_assets.connectors.listings import settle


class Folder:
    """Files of a folder."""

    def __init__(self, folder: Path, _: Site) -> None:
        self._root = folder / "documents"
        self._root.mkdir()
        self.options = {"kind": "folder", "root": str(self._root)}

    def put(self, name: str, text: str) -> None:
        path = self._root / name
        path.write_text(text)
        settle(path)

    def remove(self, name: str) -> None:
        (self._root / name).unlink()

    def lose(self) -> None:
        self._root.rename(self._root.with_name("elsewhere"))


class Table:
    """Rows of a table in SQLite."""

    def __init__(self, folder: Path, _: Site) -> None:
        self._path, self._clock = folder / "app.db", itertools.count(1)
        self._run("CREATE TABLE pages (id text PRIMARY KEY, at integer, body text)")
        database = {"driver": "sqlite", "path": str(self._path)}
        self.options = {"kind": "sql", "database": database, "table": "pages", "key": "id", "updated_at": "at"}
        self.options["content"] = "body"

    def put(self, name: str, text: str) -> None:
        self._run("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", name, next(self._clock), text)

    def remove(self, name: str) -> None:
        self._run("DELETE FROM pages WHERE id = ?", name)

    def lose(self) -> None:
        self._run("DROP TABLE pages")

    def _run(self, statement: str, *values: Any) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute(statement, values)
        connection.close()


class Endpoint:
    """Items of a JSON list."""

    def __init__(self, _: Path, site: Site) -> None:
        self._site, self._texts = site, dict[str, str]()
        fields = {"id": "$.id", "content": "$.body"}
        self.options = {"kind": "api", "url": site.url("/items"), "items": "$.data", "fields": fields}
        self.options["attempts"] = 1

    def put(self, name: str, text: str) -> None:
        self._texts[name] = text
        self._serve()

    def remove(self, name: str) -> None:
        del self._texts[name]
        self._serve()

    def lose(self) -> None:
        self._site.status("/items", 500)

    def _serve(self) -> None:
        self._site.json("/items", {"data": [{"id": name, "body": text} for name, text in self._texts.items()]})


class Objects:
    """Objects of a bucket."""

    def __init__(self, _: Path, __: Site) -> None:
        self._bucket = Bucket.made()
        self.options = self._bucket.options(attempts=1)

    def put(self, name: str, text: str) -> None:
        self._bucket.put(name, text.encode())

    def remove(self, name: str) -> None:
        self._bucket.delete(name)

    def lose(self) -> None:
        self._bucket.drop()


class Files:
    """Files of a Git repository."""

    def __init__(self, folder: Path, _: Site) -> None:
        self._repository = Repository(folder / "docs.git")
        self.options = {"kind": "git", "repository": str(self._repository.path)}

    def put(self, name: str, text: str) -> None:
        self._repository.put(name, text.encode())

    def remove(self, name: str) -> None:
        self._repository.remove(name)

    def lose(self) -> None:
        self._repository.path.rename(self._repository.path.with_name("elsewhere"))


PLACES: dict[str, Callable[[Path, Site], Place]] = {
    "folder": Folder,
    "sql": Table,
    "git": Files,
    "api": Endpoint,
    "s3": Objects,
    "llama_index": Notes,
}
