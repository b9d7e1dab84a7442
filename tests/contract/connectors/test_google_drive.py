"""Google Drive, against a fake that follows its documentation: the suites of all connectors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.testing import ConnectorSuite, FakeServer, ReaderSuite
from tests.support.google_drive import Drive


@pytest.fixture(params=["", "0ATeam"], ids=["folder", "shared drive"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with FakeServer() as server:
        made = Drive(server, request.param)
        monkeypatch.setenv("RAG_SECRET_DRIVE", made.key)
        yield made


class _Named:
    def name_of(self, locator: str) -> str:
        return bytes.fromhex(locator.partition(".")[0][1:]).decode()


class TestGoogleDrive(_Named, ConnectorSuite):
    """The suite of every connector, without readers: the poll is the log of changes."""


class TestReaders(_Named, ReaderSuite):
    """With the readers of files: the poll is the listing."""
