"""Slack, against a fake that follows its documentation: the suites of all connectors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rag_assets.testing import ConnectorSuite, FakeServer, ReaderSuite
from tests.support.slack import Slack


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    with FakeServer() as server:
        made = Slack(server)
        monkeypatch.setenv("RAG_SECRET_SLACK", made.token)
        yield made


class _Named:
    def name_of(self, locator: str) -> str:
        return bytes.fromhex(locator.partition("/")[0][1:]).decode()

    def text_of(self, content: bytes) -> str:
        return re.sub(r"<[^>]*>", "", content.decode()).partition("): ")[2]


class TestSlack(_Named, ConnectorSuite):
    """The suite of every connector."""


class TestReaders(_Named, ReaderSuite):
    """With the members of private channels as readers."""
