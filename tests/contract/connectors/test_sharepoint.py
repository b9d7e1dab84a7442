"""SharePoint against a server that follows Graph's documentation: the suite of all connectors, and its readers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.testing import FakeServer, ReaderSuite
from tests.support.graph_server import GraphServer


class TestSharePoint(ReaderSuite):
    @pytest.fixture
    def place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphServer]:
        monkeypatch.setenv("RAG_SECRET_GRAPH", "secret")
        with FakeServer() as server, FakeServer() as downloads:
            yield GraphServer(server, downloads)

    def name_of(self, locator: str) -> str:
        return locator.rpartition("/")[2]

    def test_a_wrong_secret_is_named_and_never_shown(self, place: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fill(place)
        monkeypatch.setenv("RAG_SECRET_GRAPH", "another-one")
        with self.connect(place) as connector:
            error = connector.check()["error"]
        assert error.startswith("ACCESS_REFUSED: ")
        assert "another-one" not in error
