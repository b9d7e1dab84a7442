"""The five kinds of source (SQL twice), each really there, changed by a test and remembered as they should be found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.kafka_broker import Broker
from tests.support.sites import Site, json_answer

TENANT = "acme"
Acl = tuple[str, ...]
PAGE = 100


class Place(Protocol):
    """The documents of one source in a real system. `acls`: each document can have its own ACL."""

    name: str
    acls: bool

    def options(self) -> dict[str, Any]: ...

    def put(self, locator: str, text: str, acl: Acl) -> None: ...

    def delete(self, locator: str) -> None: ...

    def locator(self, number: int) -> str: ...


class Files:
    name, acls = "files", False

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def options(self) -> dict[str, Any]:
        return {"kind": "folder", "root": str(self.root)}

    def locator(self, number: int) -> str:
        return f"{number % 10}/{number}.txt"

    def put(self, locator: str, text: str, acl: Acl) -> None:
        path = self.root / locator
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def delete(self, locator: str) -> None:
        (self.root / locator).unlink()


class Rows:
    """A table. Odd rows are deleted for good, even ones are marked."""

    acls = True

    def __init__(
        self, name: str, database: dict[str, Any], execute: Callable[[str, tuple[Any, ...]], object], mark: str
    ) -> None:
        self.name, self._database, self._execute, self._mark = name, database, execute, mark
        self._changes = 0
        execute(
            "CREATE TABLE articles (id integer PRIMARY KEY, body text, readers text, changed integer, gone integer)", ()
        )

    def options(self) -> dict[str, Any]:
        return {
            "kind": "sql", "database": self._database, "table": "articles", "key": "id", "updated_at": "changed",
            "content": "body", "deleted": "gone", "acl": {"column": "readers"}, "overlap": 0,
        }  # fmt: skip

    def locator(self, number: int) -> str:
        return str(number)

    def put(self, locator: str, text: str, acl: Acl) -> None:
        row = (int(locator), text, ",".join(acl), self._next(), 0)
        marks = ", ".join([self._mark] * len(row))
        changed = ", ".join(f"{name} = excluded.{name}" for name in ("body", "readers", "changed", "gone"))
        self._execute(f"INSERT INTO articles VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changed}", row)  # noqa: S608

    def delete(self, locator: str) -> None:
        if int(locator) % 2:
            self._execute(f"DELETE FROM articles WHERE id = {self._mark}", (int(locator),))  # noqa: S608
        else:
            statement = f"UPDATE articles SET gone = 1, changed = {self._mark} WHERE id = {self._mark}"  # noqa: S608
            self._execute(statement, (self._next(), int(locator)))

    def _next(self) -> int:
        self._changes += 1
        return self._changes


class Items:
    """A JSON API with pages; `broken` answers in its place from the second page on."""

    name, acls = "items", True

    def __init__(self, site: Site) -> None:
        self._site = site
        self._held: dict[str, dict[str, Any]] = {}
        self.broken: Callable[[Request], Response] | None = None
        site.answers["/items"] = self._answer

    def options(self) -> dict[str, Any]:
        return {
            "kind": "api", "url": self._site.url("/items"), "items": "$.data", "total": "$.total",
            "fields": {"id": "$.id", "content": "$.body", "acl": {"path": "$.acl[*]"}},
            "paging": {"type": "offset", "limit": PAGE}, "requests_per_second": 1000, "attempts": 1,
        }  # fmt: skip

    def locator(self, number: int) -> str:
        return f"item-{number}"

    def put(self, locator: str, text: str, acl: Acl) -> None:
        self._held[locator] = {"id": locator, "body": text, "acl": list(acl)}

    def delete(self, locator: str) -> None:
        del self._held[locator]

    def _answer(self, request: Request) -> Response:
        start = int(request.args.get("offset", 0))
        if start and self.broken is not None:
            return self.broken(request)
        return json_answer({"data": list(self._held.values())[start : start + PAGE], "total": len(self._held)})


class Pages:
    """A site: a home page that links to lists, which link to the pages."""

    name, acls = "pages", False

    def __init__(self, site: Site) -> None:
        self._site = site
        self._held: dict[str, str] = {}
        site.answers["/"] = lambda _: self._links(f"/list/{n}" for n in range(0, len(self._held), PAGE))
        site.fallback = self._answer

    def options(self) -> dict[str, Any]:
        return {
            "kind": "site", "seeds": [self._site.url("/")], "delay_seconds": 0, "max_pages": 20_000, "concurrency": 4,
        }  # fmt: skip

    def locator(self, number: int) -> str:
        return self._site.url(f"/page/{number}")

    def put(self, locator: str, text: str, acl: Acl) -> None:
        self._held[locator] = text

    def delete(self, locator: str) -> None:
        del self._held[locator]

    def _answer(self, request: Request) -> Response | None:
        if request.path.startswith("/list/"):
            start = int(request.path.removeprefix("/list/"))
            return self._links(list(self._held)[start : start + PAGE])
        text = self._held.get(self._site.url(request.path))
        return None if text is None else _page(f"<main><p>{text}</p></main>")

    def _links(self, targets: Any) -> Response:
        links = "".join(f'<a href="{target}">x</a>' for target in targets)
        return _page(links, head='<meta name="robots" content="noindex">')


def _page(body: str, head: str = "") -> Response:
    return Response(f"<html><head>{head}</head><body>{body}</body></html>", content_type="text/html; charset=utf-8")


class Topic:
    name, acls = "topic", True

    def __init__(self, broker: Broker) -> None:
        self._broker, self._topic = broker, broker.topic(2)
        self._waiting: list[tuple[str, Any]] = []

    def options(self) -> dict[str, Any]:
        return {"kind": "topic", "brokers": self._broker.address, "topic": self._topic, "session_timeout_ms": 2000}

    def locator(self, number: int) -> str:
        return f"ticket-{number}"

    def put(self, locator: str, text: str, acl: Acl) -> None:
        self._waiting.append((locator, {"text": text, "acl": list(acl)}))

    def delete(self, locator: str) -> None:
        self._waiting.append((locator, None))

    def flush(self) -> int:
        """Send what was put, because one by one would wait for the broker each time; returns how many messages."""
        waiting, self._waiting = self._waiting, []
        self._broker.produce(self._topic, *waiting)
        return len(waiting)


@dataclass
class Places:
    """All of them, and the truth: text and ACL by (source, locator)."""

    places: list[Place]
    truth: dict[tuple[str, str], tuple[str, Acl]] = field(default_factory=dict)
    _open: list[Any] = field(default_factory=list)
    _numbers: int = 0
    _revisions: int = 0

    @classmethod
    def build(cls, folder: Path, database: dict[str, Any], url: str, server: HTTPServer, broker: Broker) -> Places:
        """`database` are the options of the PostgreSQL that `url` opens."""
        site = Site(server)
        postgres = psycopg.connect(url, autocommit=True)
        path = folder / "articles.db"
        # Rows are written from the test's thread only; no wait for the disk, which is not what is tested.
        local = sqlite3.connect(path, isolation_level=None)
        local.execute("PRAGMA synchronous = OFF")
        rows = Rows("rows", database, lambda statement, values: postgres.execute(statement, values), "%s")
        cells = Rows("cells", {"driver": "sqlite", "path": str(path)}, local.execute, "?")
        made = cls([Files(folder / "files"), rows, cells, Items(site), Pages(site), Topic(broker)])
        made._open = [postgres, local]
        return made

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def __getitem__(self, name: str) -> Any:
        return next(place for place in self.places if place.name == name)

    def attributes(self, place: Place) -> dict[str, Any]:
        """The `attributes` of a source file. Nothing runs unless the test says so."""
        acl = ["everyone"] if not place.acls else None
        quiet = {"sensor": None, "schedule": None, "freshness_minutes": None}
        # The stream of small tests is read by runs that drain it.
        return {"name": place.name, "tenant": TENANT, "acl": acl, "options": place.options(), **quiet}

    def add(self, place: Place, acl: Acl = ("everyone",)) -> None:
        self._numbers += 1
        self.write(place, place.locator(self._numbers), acl)

    def write(self, place: Place, locator: str, acl: Acl | None = None, text: str | None = None) -> None:
        """A new text, unless one is given; without `acl` the one it has."""
        self._revisions += 1
        acl = acl or self.truth[place.name, locator][1]
        text = text or f"Revision {self._revisions} of {place.name} says that pump {self._revisions} needs oil at once."
        place.put(locator, text, acl)
        self.truth[place.name, locator] = (text, acl)

    def change_acl(self, place: Place, locator: str, acl: Acl) -> None:
        self.write(place, locator, acl, self.truth[place.name, locator][0])

    def delete(self, place: Place, locator: str) -> None:
        place.delete(locator)
        del self.truth[place.name, locator]

    def of(self, place: Place) -> list[str]:
        return [locator for source, locator in self.truth if source == place.name]
