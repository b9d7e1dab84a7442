"""The open interfaces behind a real gateway and over a real query server, shared by the tests that only read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.interfaces import OpenInterfaces, behind_gateway, running_interfaces
from tests.support.query_server import Doc, running

DOCS = [
    Doc(
        "The vacation policy grants 25 days of paid leave a year. Unused days expire in March.\n\n"
        "Parental leave lasts 16 weeks. It is paid in full.",
        locator="https://intranet.example/leave",
        title="Leave",
        metadata={"team": "people", "year": "2026"},
    ),
    Doc("The office in Lisbon opens at nine. Ring the bell twice.", locator="office.md", source="wiki"),
    Doc("Salaries are reviewed every June by the board.", locator="pay.md", source="payroll", acl=("group:hr",)),
    Doc("The canary sings in tenant other: vacation secret.", locator="canary.md", tenant="other"),
]
QUESTION = "How many days of paid leave does the vacation policy grant?"


def pytest_configure(config: pytest.Config) -> None:
    """Schemathesis makes a test of every operation; only here, because its plugin takes a second to import."""
    config.pluginmanager.import_plugin("schemathesis.pytest.plugin")


@pytest.fixture(scope="session")
def open_interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenInterfaces]:
    folder = tmp_path_factory.mktemp("interfaces")
    with (
        running(folder / "server", docs=DOCS, metadata_fields=frozenset({"team", "year:number"})) as server,
        running_interfaces(server, files_max_bytes=40_000, files_max=40, max_body_bytes=16_384) as alone,
        behind_gateway(alone, folder) as found,
    ):
        yield found
