"""The console before a scripted platform: a real Envoy, a gRPC peer and a GraphQL peer that say what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.support.wire import Gateway, running_gateway

APP = Path(__file__).parents[3] / "console" / "app.py"

HEALTHY_DAGSTER: dict[str, Any] = {
    "instance": {"daemonHealth": {"allDaemonStatuses": [{"daemonType": "SENSOR", "required": True, "healthy": True}]}},
    "workspaceOrError": {
        "__typename": "Workspace",
        "locationEntries": [
            {"name": "rag", "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
        ],
    },
    "runsOrError": {
        "__typename": "Runs",
        "results": [
            {
                "runId": "0a1b2c3d-0000-0000-0000-000000000000",
                "jobName": "handbook",
                "status": "SUCCESS",
                "startTime": 1_700_000_000.0,
                "endTime": 1_700_000_012.5,
                "creationTime": 1_700_000_000.0,
            }
        ],
    },
}


@dataclass
class Platform:
    """What the console talks to."""

    gateway: Gateway
    dagster: HTTPServer
    token_file: Path

    @property
    def environment(self) -> dict[str, str]:
        """The console's settings."""
        return {
            "RAG_CONSOLE_QUERY_ADDRESS": f"127.0.0.1:{self.gateway.peer.port}",
            "RAG_CONSOLE_GATEWAY_URL": f"http://{self.gateway.address}",
            "RAG_CONSOLE_DAGSTER_URL": self.dagster.url_for(""),
            "RAG_CONSOLE_TOKEN_FILE": str(self.token_file),
            "RAG_CONSOLE_REFRESH_SECONDS": "1",
        }

    def reset(self) -> None:
        """Everything healthy."""
        self.gateway.reset()
        self.gateway.probes.expect_request("/ready").respond_with_json({"ready": True, "reasons": []})
        self.dagster.clear()
        self.dagster.expect_request("/graphql").respond_with_json({"data": HEALTHY_DAGSTER})


@pytest.fixture(scope="session")
def running_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("console")
    token_file = folder / "token"
    token_file.write_text("a.b.c\n")
    dagster = HTTPServer(host="127.0.0.1", port=0)
    dagster.start()
    with running_gateway(folder) as gateway:
        yield Platform(gateway, dagster, token_file)
    dagster.stop()


@pytest.fixture
def platform(running_platform: Platform) -> Platform:
    """The platform, healthy and empty."""
    running_platform.reset()
    return running_platform
