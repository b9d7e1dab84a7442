"""Confluence Cloud and Data Center against a fake that follows their documentation: the suites of all connectors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.testing import ConnectorSuite, FakeServer, ReaderSuite
from tests.support.confluence import TOKEN, FakeConfluence


class _Confluence(ConnectorSuite):
    site: FakeConfluence

    @pytest.fixture(params=["cloud", "data_center"])
    def place(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeConfluence]:
        monkeypatch.setenv("RAG_SECRET_WIKI", TOKEN)
        with FakeServer() as server:
            self.site = FakeConfluence(server, request.param)
            yield self.site

    def name_of(self, locator: str) -> str:
        return self.site.nodes[locator.split("/")[1]].title


class TestConfluence(_Confluence):
    """The suite of every connector."""


class TestReaders(_Confluence, ReaderSuite):
    """The suite of connectors that know readers."""
