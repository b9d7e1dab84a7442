"""Notion against a server that follows its documentation: the suite of all connectors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.testing import ConnectorSuite, FakeServer
from tests.support.notion_server import NotionServer


class TestNotion(ConnectorSuite):
    @pytest.fixture
    def place(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotionServer]:
        monkeypatch.setenv("RAG_SECRET_NOTION", "secret")
        with FakeServer() as server, FakeServer() as files:
            self.server = NotionServer(server, files)
            yield self.server

    def name_of(self, locator: str) -> str:
        page = self.server.pages[locator]
        return str(page["properties"]["Name"]["title"][0]["plain_text"])

    def text_of(self, content: bytes) -> str:
        return content.decode().partition("\n")[2].strip()

    def test_a_wrong_token_is_named_and_never_shown(self, place: NotionServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fill(place)
        monkeypatch.setenv("RAG_SECRET_NOTION", "another-one")
        with self.connect(place) as connector:
            error = connector.check()["error"]
        assert error.startswith("ACCESS_REFUSED: ")
        assert "another-one" not in error
