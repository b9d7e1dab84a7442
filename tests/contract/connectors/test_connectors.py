"""Every kind of connector through the same tests, made from its YAML as runs make it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
import stamina
from pydantic import ValidationError
from pytest_httpserver import HTTPServer

from rag_assets.config import SourceConfig
from rag_assets.connectors import open_connector
from rag_assets.connectors.http_api import connector as http_api
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import NotFound, RagError
from rag_core.sources import Connector, SourceItem
from tests.contract.connectors.places import PLACES, Place
from tests.support.sites import POLICY, Site


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, httpserver: HTTPServer) -> Iterator[Place]:
    """A source with two documents."""
    http_api._POLLED.clear()
    made = PLACES[request.param](tmp_path, Site(httpserver))
    made.put("a.txt", "The first text.")
    made.put("b.txt", "The second text.")
    with stamina.set_testing(True, attempts=1):
        yield made


def config(place: Place, **more: object) -> SourceConfig:
    return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": {**place.options, **more}})


def connect(place: Place) -> AbstractContextManager[Connector]:
    return open_connector(config(place), ConnectorContext(fetch_policy=POLICY))


def listed(connector: Connector) -> dict[str, str]:
    """Locators with their version tags; the listing was complete."""
    listing = connector.list_items()
    items = [entry for entry in listing if isinstance(entry, SourceItem)]
    assert (listing.complete, listing.error) == (True, None)
    assert len({item.locator for item in items}) == len(items)
    return {item.locator: item.version_tag for item in items}


def state(place: Place) -> tuple[dict[str, str], str]:
    http_api._POLLED.clear()  # it keeps the tag of its last poll for some seconds
    with connect(place) as connector:
        return listed(connector), connector.version_tag()


def test_every_document_is_listed_once_and_fetched_as_it_is(place: Place) -> None:
    with connect(place) as connector:
        items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
        texts = {item.locator: connector.fetch(item).content.decode().strip() for item in items}
    assert texts == {"a.txt": "The first text.", "b.txt": "The second text."}


def test_a_listing_is_not_complete_before_its_end(place: Place) -> None:
    with connect(place) as connector:
        listing = connector.list_items()
        next(iter(listing))
        assert not listing.complete


def test_nothing_changes_while_the_source_is_as_it_was(place: Place) -> None:
    with connect(place) as connector:
        listing = connector.list_items()
        for _ in listing:
            pass
        assert connector.version_tag() == listing.version_tag
    assert state(place) == state(place)


def test_a_change_changes_the_tag_of_its_document_and_of_the_source(place: Place) -> None:
    (before, tag), _ = state(place), place.put("b.txt", "Another text of it.")
    after, new_tag = state(place)
    assert (after["a.txt"], new_tag != tag) == (before["a.txt"], True)
    assert after["b.txt"] != before["b.txt"]


def test_a_removed_document_is_not_listed_and_never_read_as_another(place: Place) -> None:
    with connect(place) as connector:
        items = {entry.locator: entry for entry in connector.list_items() if isinstance(entry, SourceItem)}
        place.remove("b.txt")
        with suppress(NotFound):  # or it still has what it listed
            assert connector.fetch(items["b.txt"]).content.decode().strip() == "The second text."
    assert state(place)[0].keys() == {"a.txt"}


def test_a_source_that_cannot_be_read_is_never_an_empty_one(place: Place) -> None:
    place.lose()
    with connect(place) as connector:
        try:
            listing = connector.list_items()
            entries = list(listing)
        except RagError:
            pass
        else:
            assert not listing.complete
            assert (entries, bool(listing.error)) == ([], True)
        assert connector.check()["ok"] is False


def test_check_counts_the_documents_and_shows_some(place: Place) -> None:
    with connect(place) as connector:
        found = connector.check()
    assert (found["ok"], found["items"], sorted(found["sample"])) == (True, 2, ["a.txt", "b.txt"])


def test_options_are_strict_and_name_the_place_for_people(place: Place) -> None:
    assert config(place).options.location
    with pytest.raises(ValidationError):
        config(place, unknown=1)
