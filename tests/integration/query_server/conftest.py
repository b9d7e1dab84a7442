"""One server shared by the tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.database import Store, open_store
from rag_core.settings import Settings
from tests.support.query_server import Doc, RunningServer, running

DOCS = [
    Doc(
        "The vacation policy grants 25 days of paid leave a year. Unused days expire in March.\n\n"
        "Parental leave lasts 16 weeks. It is paid in full.",
        locator="leave.md",
        title="Leave",
        metadata={"team": "people"},
    ),
    Doc("年假为每年二十五天。未使用的假期在三月底失效。", locator="leave-zh.md", title="年假"),
    Doc("The office in Lisbon opens at nine. Ring the bell twice.", locator="office.md", source="wiki"),
    Doc("Salaries are reviewed every June by the board.", locator="pay.md", acl=("group:hr",)),
    Doc("The canary sings in tenant other: vacation secret.", locator="canary.md", tenant="other"),
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("server"), docs=DOCS, metadata_fields=frozenset({"team"})) as started:
        yield started


@pytest.fixture
def store(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A database of the test, with the rows that `fill` of its module writes."""
    opened = open_store(Settings(home=tmp_path, database_url=database_url))
    getattr(request.module, "fill", lambda _: None)(opened)
    yield opened
    opened.close()
