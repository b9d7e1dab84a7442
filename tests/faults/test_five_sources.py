"""Ten thousand documents in all kinds of source at once, and an hour of changes, on the whole embedded stack.

The hour is a script of six times ten minutes that nothing waits for: each step makes its changes, has the sources
synced, and compares. The embedder is the fake one, which is no part of what is tested.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer
from werkzeug import Response

from rag_core.settings import Settings
from tests.support.kafka_broker import Broker, broker  # noqa: F401
from tests.support.local_stack import LocalStack
from tests.support.places import Place, Places

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

SHARES = {"files": 2500, "rows": 2000, "cells": 1500, "items": 2000, "pages": 1000, "topic": 1000}
STEPS = 6
CHANGED = 0.01
"""Of each source and step: inserts, updates, deletes and new ACLs, each."""
READERS = (("everyone",), ("group:ops",), ("user:ann", "group:staff"))


class Harness:
    def __init__(self, stack: LocalStack, places: Places, broker: Broker, seed: int) -> None:  # noqa: F811
        self.stack, self.places, self.broker = stack, places, broker
        self.chance = random.Random(seed)
        self._told, self._sent = broker.topic(), 0
        folder = stack.home / "sources"
        folder.mkdir(parents=True)
        for place in places.places:
            attributes = places.attributes(place)
            if place.name == "topic":
                attributes["options"]["completion_topic"] = self._told
            document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
            (folder / f"{place.name}.yaml").write_text(yaml.safe_dump(document))

    def fill(self) -> None:
        for place in self.places.places:
            for _ in range(SHARES[place.name]):
                self.places.add(place, self._acl(place))

    def change(self) -> None:
        for place in self.places.places:
            held = self.places.of(place)
            share = round(len(held) * CHANGED)
            edited, deleted, opened = (self.chance.sample(held, share * 3)[n::3] for n in range(3))
            for locator in edited:
                self.places.write(place, locator)
            for locator in set(deleted) - set(edited):
                self.places.delete(place, locator)
            for locator in set(opened) - set(edited) - set(deleted) if place.acls else ():
                self.places.change_acl(place, locator, self._acl(place))
            for _ in range(share):
                self.places.add(place, self._acl(place))

    def sync(self, *names: str) -> int:
        """Runs through Dagster, one after the other; the exit code of the last that failed."""
        return max(self.stack.rag("source", "sync", name, seconds=900)[0] for name in names)

    def settle(self) -> None:
        """Have everything taken up: runs of the listed sources, and the stream worker's word for each message."""
        self._sent += self.places["topic"].flush()
        code, printed = self.stack.rag("source", "sync", seconds=900)
        assert code == 0, printed
        assert self.sync("pages") == 0, "a page is gone when it was missed twice"
        assert len(self.broker.read(self._told, self._sent)) == self._sent

    def verified(self, *arguments: str) -> dict[str, Any]:
        """The report, which must be clean, and what the database holds, which must be the truth."""
        code, report = self.stack.rag("verify", "--sources", *arguments, seconds=900)
        assert code == 0, report
        assert self.stored() == {
            (source, locator): (text, tuple(sorted(acl)))
            for (source, locator), (text, acl) in self.places.truth.items()
        }
        found: dict[str, Any] = report
        return found

    def stored(self) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
        settings = Settings.load(home=self.stack.home, postgres_port=int(self.stack.environment["RAG_POSTGRES_PORT"]))
        with psycopg.connect(settings.effective_database_url) as connection:
            rows = connection.execute(
                "SELECT source, locator, text, acl FROM rag.documents WHERE tenant = 'acme' AND deleted_at IS NULL"
            )
            return {(source, locator): (text.strip(), tuple(sorted(acl))) for source, locator, text, acl in rows}

    def _acl(self, place: Place) -> tuple[str, ...]:
        return self.chance.choice(READERS) if place.acls else ("everyone",)


@pytest.fixture
def world(
    empty_database_url: str,
    httpserver: HTTPServer,
    broker: Broker,  # noqa: F811
) -> Iterator[Harness]:
    given = conninfo_to_dict(empty_database_url)
    database = {
        "driver": "postgresql", "host": given["host"], "port": int(str(given["port"])), "name": given["dbname"],
        "user": given["user"],
    }  # fmt: skip
    reachable = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "FETCH_PORTS": f"80,443,{httpserver.port}"}
    stack = LocalStack(extra={"EMBEDDER": "fake", **reachable})
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    places = Places.build(stack.folder, database, empty_database_url, httpserver, broker)
    made = Harness(stack, places, broker, seed)
    (stack.docs / "other.md").write_text("# Another source\n\nIt stays as it is.\n")
    made.fill()
    stack.up()
    yield made
    stack.close()
    places.close()


@pytest.mark.catalogue("F21", "F22", "F23")
def test_ten_thousand_documents_of_five_kinds_are_what_their_sources_say_through_an_hour_of_changes(
    world: Harness,
) -> None:
    began = time.monotonic()

    def on_progress(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    world.settle()
    on_progress(f"{len(world.places.truth)} documents taken up")
    report = world.verified("--sample", "500")
    on_progress(f"clean: {report['expected']} chunks, {sum(one['read'] for one in report['sources'])} items read")
    for step in range(1, STEPS + 1):
        world.change()
        world.settle()
        world.verified("--sample", "500")
        on_progress(f"step {step} taken up and clean")
    items = world.places["items"]
    world.change()
    items.broken = lambda _: Response("<html>Error</html>", content_type="text/html")
    assert world.sync("items") == 1, "a cut listing is no success"
    code, report = world.stack.rag("verify", "--source", "items", "--sample", "100", seconds=900)
    assert code == 1
    assert report["sources"][0]["totals"] == {"unproven": 1}
    items.broken = None
    world.settle()
    on_progress("a cut listing lost nothing")
    cells = world.places["cells"]
    for locator in world.places.of(cells)[: SHARES["cells"] // 3]:
        world.places.delete(cells, locator)
    assert world.sync("cells") == 1, "held deletions are no success"
    _, report = world.stack.rag("verify", "--source", "cells", "--sample", "100", seconds=900)
    assert report["sources"][0]["totals"]["not_at_source"] >= SHARES["cells"] // 3
    assert world.stack.rag("source", "approve-deletions", "cells")[0] == 0
    world.settle()
    report = world.verified()
    on_progress(
        f"held deletions released; every chunk found by its own vector ({report['retrieved']}), every item read"
    )
