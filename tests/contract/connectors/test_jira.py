"""Jira Cloud and Data Center against a fake that follows their documentation: the suites of all connectors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.testing import ConnectorSuite, FakeServer, ReaderSuite
from tests.support.jira import TOKEN, FakeJira


class _Jira(ConnectorSuite):
    site: FakeJira

    @pytest.fixture(params=["cloud", "data_center"])
    def place(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJira]:
        monkeypatch.setenv("RAG_SECRET_JIRA", TOKEN)
        with FakeServer() as server:
            self.site = FakeJira(server, request.param)
            yield self.site

    def name_of(self, locator: str) -> str:
        return self.site.tickets[locator.split("/")[1]].summary

    def text_of(self, content: bytes) -> str:
        return content.decode().removeprefix("<p>Bug, Open</p>")


class TestJira(_Jira):
    """The suite of every connector."""


class TestReaders(_Jira, ReaderSuite):
    """The suite of connectors that know readers."""
