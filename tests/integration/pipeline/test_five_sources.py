"""All kinds of source at once: after each step the index says what the sources say, and so does the verification. The
first run of a source accounts for every item, however late its listing begins and whatever their names.

`tests/faults/test_five_sources.py` is the same with ten thousand documents on a running stack.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer
from werkzeug import Response

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.base import StreamSource
from rag_assets.stream_worker.streams import open_kafka
from rag_core.content.parsing import Parser
from rag_core.content.sources import Scope, StoredMemory, UntouchedMemory
from rag_core.database import Store
from rag_core.errors import Reason
from rag_core.ingestion.pipeline import account, run_pipeline
from rag_core.ingestion.verify import SourceComparison, verify, verify_source
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from tests.support.generations import GenerationHarness
from tests.support.kafka_broker import Broker, broker  # noqa: F401
from tests.support.pipeline import PipelineHarness
from tests.support.places import TENANT, Place, Places
from tests.support.s3 import Bucket
from tests.support.sites import POLICY
from tests.support.stream import StreamHarness

EACH = 6


class Harness:
    """The sources, and one pipeline that follows them in this process."""

    def __init__(self, places: Places, stream: StreamHarness) -> None:
        self.places, self.stream = places, stream
        self._open = ExitStack()
        self._configs = {place.name: SourceConfig.model_validate(places.attributes(place)) for place in places.places}
        self.flows = {
            name: PipelineHarness(stream.store, stream.index, stream.parser, stream.settings, config.source,
                       chunker=stream.chunker, embedder=stream.embedder)
            for name, config in self._configs.items()
        }  # fmt: skip
        self._topic: StreamSource | None = None

    def run(self) -> None:
        """A run of every listed source (two for the site, where a page is gone when it was missed twice), and what
        waits in the topic."""
        for name in ("files", "rows", "cells", "items", "pages", "pages"):
            memory = StoredMemory(self.stream.store, TENANT, name)
            with open_connector(self._configs[name], ConnectorContext(fetch_policy=POLICY, memory=memory)) as connector:
                self.flows[name].connector = connector  # type: ignore[assignment]
                assert self.flows[name].run().balanced
        sent = self.places["topic"].flush()
        if self._topic is None:
            self._topic = open_kafka(self._configs["topic"], self.stream.store, self.stream.settings)
        consumer_loop = self.stream.consumer_loop(self._topic)
        while sent > 0:
            batch = self._topic.poll(1)
            consumer_loop.process(batch)
            sent -= len(batch)

    def compared(self, name: str) -> SourceComparison:
        stream = self.stream
        memory = UntouchedMemory(StoredMemory(stream.store, TENANT, name))
        with open_connector(self._configs[name], ConnectorContext(fetch_policy=POLICY, memory=memory)) as connector:
            return verify_source(stream.store, connector, stream.parser, self._configs[name].source, stream.settings)

    def differences(self) -> dict[str, list[str]]:
        """What the verification says of each source that is not clean, and of the index."""
        reports = {name: self.compared(name) for name in self._configs}
        found = {name: [one.detail for one in report.findings] for name, report in reports.items() if not report.clean}
        report = verify(self.stream.store, self.stream.index)
        return found if report.clean else {**found, "index": [one.detail for one in report.findings]}

    def found(self) -> dict[tuple[str, str], tuple[str, tuple[str, ...]]]:
        """Text and ACL in the index, which is looked at without the pipeline's own eyes."""
        alias = self.stream.index.alias()
        assert alias is not None
        points = [point.payload for page in self.stream.index.scroll(alias) for point in page]
        assert len({(point.source, point.locator) for point in points}) == len(points), "one chunk each"
        return {(point.source, point.locator): (point.text, tuple(sorted(point.acl))) for point in points}

    def settled(self) -> bool:
        self.run()
        assert self.differences() == {}
        truth = {key: (text, tuple(sorted(acl))) for key, (text, acl) in self.places.truth.items()}
        assert self.found() == truth
        return True


@pytest.fixture
def world(
    tmp_path: Path,
    empty_database_url: str,
    httpserver: HTTPServer,
    broker: Broker,  # noqa: F811
    store: Store,
    settings: Settings,
    index: EdgeIndex,
    parser: Parser,
) -> Iterator[Harness]:
    given = conninfo_to_dict(empty_database_url)
    database = {
        "driver": "postgresql",
        "host": given["host"],
        "port": int(str(given["port"])),
        "name": given["dbname"],
        "user": given["user"],
    }
    places = Places.build(tmp_path, database, empty_database_url, httpserver, broker)
    stream = StreamHarness(store, index, parser, settings)
    yield Harness(places, stream)
    stream.close()
    places.close()


def each(world: Harness) -> Iterator[tuple[Place, list[str]]]:
    for place in world.places.places:
        yield place, world.places.of(place)


def test_five_kinds_of_source_stay_what_they_say_through_every_kind_of_change(world: Harness) -> None:
    places = world.places
    for place, _ in each(world):
        for _ in range(EACH):
            places.add(place)
    assert world.settled()
    for place, held in each(world):
        places.write(place, held[0])
        places.delete(place, held[1])
        places.add(place, ("group:ops",) if place.acls else ("everyone",))
        if place.acls:
            places.change_acl(place, held[2], ("user:ann",))
    assert set(world.differences()) == {"files", "rows", "cells", "items", "pages"}, "no run has taken it up"
    assert world.settled()
    for place, held in each(world):
        places.delete(place, held[0])
        places.write(place, held[3])
    assert world.settled()


@pytest.mark.catalogue("F22")
def test_a_listing_that_is_cut_proves_nothing_and_the_verification_says_so(world: Harness) -> None:
    items = world.places["items"]
    for _ in range(120):
        world.places.add(items)
    assert world.settled()
    items.broken = lambda _: Response("<html>Error</html>", content_type="text/html")
    (report,) = [world.compared("items")]
    assert {str(kind) for kind in report.totals} == {"unproven"}
    assert Reason.CONTENT_TYPE in report.findings[0].detail


EARLY = "rag_core.content.sources.listings.EARLY_SECONDS"


@pytest.mark.parametrize("names", ["similar", "odd"])
@pytest.mark.catalogue("A31")
def test_every_small_object_of_a_bucket_that_is_slow_to_begin_is_in_its_first_run(
    flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    bucket = Bucket.made()
    keys = [f"manuals/motor-{number}.md" for number in range(15)]
    if names == "odd":
        twins = [unicodedata.normalize(form, "odd/café.md") for form in ("NFC", "NFD")]
        keys = ["odd/a\nb.md", "odd/a%0Ab.md", "odd/a/b.md", "odd/a%2Fb.md", "odd/a%252Fb.md", *twins]
    bucket.put_many({key: f"Motor {number} needs oil every {number + 2} days." for number, key in enumerate(keys)})
    attributes = {"name": "docs", "tenant": "acme", "acl": ["everyone"], "options": bucket.options()}
    config = SourceConfig.model_validate(attributes)
    # The first key comes after the time that a run waits for more of them, and its document fills the first round.
    flow.settings = flow.settings.model_copy(update={"first_round_chars": 1})
    monkeypatch.setattr(EARLY, 0.0)

    def check(_: object) -> dict[str, str]:
        monkeypatch.setattr(EARLY, 3600.0)
        return {}

    harness, scope = GenerationHarness(flow), Scope(config.source, "run-0")
    harness.ensure()
    with open_connector(config, ConnectorContext(fetch_policy=POLICY)) as connector:
        run_pipeline(harness, scope, connector=connector, check=check)
    counts = account(flow.store, scope)
    served = [key for key in keys if "\n" not in key]  # moto lists the others and answers 404: vanished
    assert counts.balanced
    assert (counts.read, counts.indexed, counts.skipped) == (len(keys), len(served), len(keys) - len(served))
