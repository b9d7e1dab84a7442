"""The tests that every connector passes, made from its YAML as runs make it.

A test class of your own gives them a place: a small source that they change.

    class TestWiki(ConnectorSuite):
        @pytest.fixture
        def place(self):
            with FakeServer() as server:
                yield WikiPlace(server)

The place is filled by the suite. Lines of a failed test show their values when the module is registered before it is
imported: `pytest.register_assert_rewrite("rag_assets.testing.connector_suite")` in a `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import stamina
from pydantic import ValidationError

from rag_assets.connectors import open_connector
from rag_assets.connectors.fields import NOBODY
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing.fake_server import LOOPBACK
from rag_core.content.sources import Connector, SourceItem, SourceMemory, TransientMemory
from rag_core.errors import NotFound, RagError
from rag_core.http_client import FetchPolicy


class Place(Protocol):
    """A source of documents, with the `options` that its YAML has."""

    options: dict[str, Any]

    def put(self, name: str, text: str) -> None:
        """Add a document or change its text."""

    def remove(self, name: str) -> None: ...

    def lose(self) -> None:
        """Make the whole source unreadable."""


class SharedPlace(Place, Protocol):
    """A place whose documents are for some of its users and groups."""

    def share(self, name: str, users: Sequence[str], groups: Sequence[str]) -> None:
        """Let only these read a document."""


class ConnectorSuite:
    """Subclass it in a test module, with a fixture `place`. Each test makes the connector from `place.options`."""

    policy: FetchPolicy = LOOPBACK
    """Destinations that the connector may connect to."""

    def fill(self, place: Place) -> None:
        """Put the two documents there that the tests are about."""
        place.put("a.txt", "The first text.")
        place.put("b.txt", "The second text.")

    def config(self, place: Place, **more: object) -> SourceConfig:
        """The source as its file has it."""
        options = {**place.options, **more}
        return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})

    def name_of(self, locator: str) -> str:
        """The name in `Place.put` of the document with a locator; override it where a connector makes others."""
        return locator

    def text_of(self, content: bytes) -> str:
        """The text in `Place.put` of a fetched content; override it where a connector adds to it."""
        return content.decode().strip()

    def forget(self) -> None:
        """Called before each look: for a connector that keeps something in the process between two polls."""

    @contextmanager
    def connect(self, place: Place, memory: SourceMemory | None = None) -> Iterator[Connector]:
        """The connector of a place. What fails is not tried again and again."""
        self.forget()
        context = ConnectorContext(fetch_policy=self.policy, memory=memory or TransientMemory())
        with stamina.set_testing(True, attempts=1), open_connector(self.config(place), context) as connector:
            yield connector

    def listed(self, connector: Connector) -> dict[str, str]:
        """Locators with their version tags; the listing was complete, and named each document once."""
        listing = connector.list_items()
        items = [entry for entry in listing if isinstance(entry, SourceItem)]
        assert (listing.complete, listing.error) == (True, None)
        assert len({item.locator for item in items}) == len(items)
        return {self.name_of(item.locator): item.version_tag for item in items}

    def state(self, place: Place, memory: SourceMemory | None = None) -> tuple[dict[str, str], str]:
        """Return what a run and the change sensor would see now."""
        with self.connect(place, memory) as connector:
            return self.listed(connector), connector.version_tag()

    def test_every_document_is_listed_once_and_fetched_as_it_is(self, place: Place) -> None:
        """Nothing is left out, nothing twice, and nothing of one document is in another."""
        self.fill(place)
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            texts = {self.name_of(item.locator): self.text_of(connector.fetch(item).content) for item in items}
        assert texts == {"a.txt": "The first text.", "b.txt": "The second text."}

    def test_a_listing_is_not_complete_before_its_end(self, place: Place) -> None:
        """A listing that says it is complete deletes what it does not name."""
        self.fill(place)
        with self.connect(place) as connector:
            listing = connector.list_items()
            next(iter(listing))
            assert not listing.complete

    def test_nothing_changes_while_the_source_is_as_it_was(self, place: Place) -> None:
        """The sensor starts no run, and a run reads nothing again, without a reason."""
        self.fill(place)
        with self.connect(place) as connector:
            listing = connector.list_items()
            for _ in listing:
                pass
            assert connector.version_tag() == listing.version_tag
        assert self.state(place) == self.state(place)

    def test_a_change_changes_the_tag_of_its_document_and_of_the_source(self, place: Place) -> None:
        """A change is noticed, and what did not change is not read again."""
        self.fill(place)
        before, tag = self.state(place)
        place.put("b.txt", "Another text of it.")
        after, new_tag = self.state(place)
        assert (after["a.txt"], new_tag != tag) == (before["a.txt"], True)
        assert after["b.txt"] != before["b.txt"]

    def test_a_removed_document_is_not_listed_and_never_read_as_another(self, place: Place) -> None:
        """A run may be between a listing and a fetch when a document goes."""
        self.fill(place)
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            second = next(entry for entry in items if self.name_of(entry.locator) == "b.txt")
            place.remove("b.txt")
            with suppress(NotFound):  # or it still has what it listed
                assert self.text_of(connector.fetch(second).content) == "The second text."
        assert self.state(place)[0].keys() == {"a.txt"}

    def test_a_source_that_cannot_be_read_is_never_an_empty_one(self, place: Place) -> None:
        """An error is not an empty source: that would delete all of it."""
        self.fill(place)
        place.lose()
        with self.connect(place) as connector:
            try:
                listing = connector.list_items()
                entries = list(listing)
            except RagError:
                pass
            else:
                assert not listing.complete
                assert (entries, bool(listing.error)) == ([], True)
            assert connector.check()["ok"] is False

    def test_check_counts_the_documents_and_shows_some(self, place: Place) -> None:
        """`rag source check` and the console show this."""
        self.fill(place)
        with self.connect(place) as connector:
            found = connector.check()
        sample = sorted(map(self.name_of, found["sample"]))
        assert (found["ok"], found["items"], sample) == (True, 2, ["a.txt", "b.txt"])

    def test_options_are_strict_and_name_the_place_for_people(self, place: Place) -> None:
        """A typing error in a file is an error, and the console names the place."""
        self.fill(place)
        assert self.config(place).options.location
        try:
            self.config(place, unknown=1)
        except ValidationError:
            return
        raise AssertionError("an option that nobody knows was accepted")


class ReaderSuite(ConnectorSuite):
    """As `ConnectorSuite`, with the readers of documents, whom the directory `corp` knows; the place is a
    `SharedPlace`."""

    def config(self, place: Place, **more: object) -> SourceConfig:
        return super().config(place, **({"directory": "corp"} | more))

    def acls(self, place: Place) -> dict[str, tuple[str, ...] | None]:
        """The ACL of each document that can be read now."""
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            return {self.name_of(item.locator): connector.fetch(item).acl for item in items}

    def test_readers_have_the_names_that_the_source_calls_them(self, place: SharedPlace) -> None:
        """The directory knows who they are, and who is in a group, whenever it is asked."""
        self.fill(place)
        place.share("a.txt", ["eve"], ["writers"])
        acl = self.acls(place)["a.txt"] or ()
        assert sorted(entry.rpartition(":")[2] for entry in acl) == ["eve", "writers"]
        assert all(entry.startswith("corp/") for entry in acl)

    def test_a_document_for_nobody_is_for_nobody(self, place: SharedPlace) -> None:
        """No reader is not the same as no permissions, for which the source's file has a default."""
        self.fill(place)
        place.share("a.txt", [], [])
        assert self.acls(place)["a.txt"] == (NOBODY,)

    def test_a_change_of_readers_changes_the_tag_of_its_document_and_of_the_source(self, place: SharedPlace) -> None:
        """Although no text changed: otherwise who was taken out could read on."""
        self.fill(place)
        place.share("a.txt", ["ann", "bob"], [])
        before, tag = self.state(place)
        place.share("a.txt", ["ann"], [])
        after, new_tag = self.state(place)
        assert (before["a.txt"] != after["a.txt"], tag != new_tag) == (True, True)
        assert before["b.txt"] == after["b.txt"]
