"""The console before a scripted platform: a real Envoy, a gRPC peer and a GraphQL peer that say what a test wants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.testing.v1 import AppTest
from werkzeug import Request, Response

import console
from tests.support.browser import module_browser, running_console  # noqa: F401
from tests.support.wire import Gateway, running_gateway

ROOT = Path(console.__file__).parent
_PATIENCE_MS = 60_000
"""A page that paints in a second takes many on a machine that is busy with other tests."""
FILES = "fingerprint"
"""The source files that the code location has loaded."""
RUN = "0a1b2c3d-0000-0000-0000-000000000000"
METRICS = 'rag_server_requests_total{method="/ragproto.query.v2.QueryService/Search",code="OK",reason=""} 5\n'


def healthy_dagster() -> dict[str, Any]:
    """Every field that the console asks for, by name; Dagster itself would send those of the query only."""
    location = {"name": "rag", "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
    run = {
        "runId": RUN, "jobName": "handbook_sync", "status": "SUCCESS", "startTime": 1_700_000_000.0,
        "endTime": 1_700_000_012.5, "creationTime": 1_700_000_000.0, "canTerminate": False, "tags": [],
        "assetSelection": [{"path": ["handbook", "index"]}],
    }  # fmt: skip
    tick = {"status": "SKIPPED", "timestamp": 1_700_000_000.0, "skipReason": "unchanged", "error": None}
    sensor = {
        "name": "handbook_changes", "targets": [{"pipelineName": "handbook_sync"}], "nextTick": None,
        "sensorState": {"id": "sensor-1", "status": "RUNNING", "ticks": [tick]},
    }  # fmt: skip
    nodes = [
        {"assetKey": {"path": ["handbook", stage]}, "groupName": "handbook", "dependencyKeys": [],
         "assetChecksOrError": {"checks": []}}
        for stage in ("documents", "chunks", "embeddings", "index")
    ]  # fmt: skip
    return {
        "instance": {"daemonHealth": {"allDaemonStatuses": [
            {"daemonType": "SENSOR", "required": True, "healthy": True},
        ]}},
        "workspaceOrError": {"__typename": "Workspace", "locationEntries": [location]},
        "runsOrError": {"__typename": "Runs", "results": [run]},
        "sensorsOrError": {"__typename": "Sensors", "results": [sensor]},
        "schedulesOrError": {"__typename": "Schedules", "results": []},
        "job": {"__typename": "Pipeline", "sensors": [sensor], "schedules": []},
        "assetNodes": nodes,
        "assetsLatestInfo": [],
        "logsForRun": {"events": []},
        "partitionBackfillsOrError": {"__typename": "PartitionBackfills", "results": []},
        "launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN}},
        "launchRunReexecution": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN}},
        "sensorDryRun": {
            "__typename": "DryRunInstigationTick", "evaluationResult": {"skipReason": "unchanged", "cursor": FILES},
        },
        "sensorOrError": {"__typename": "Sensor", "tags": [{"key": "rag/source_files", "value": FILES}]},
        "stopSensor": {"__typename": "StopSensorMutationResult"},
        "terminateRun": {"__typename": "TerminateRunSuccess"},
    }  # fmt: skip


@dataclass
class Platform:
    """What the console talks to. `asked` are the GraphQL documents and variables that came."""

    gateway: Gateway
    dagster: HTTPServer
    token_file: Path
    data: dict[str, Any] = field(default_factory=healthy_dagster)
    asked: list[dict[str, Any]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The console's settings."""
        return {
            "RAG_CONSOLE_QUERY_ADDRESS": f"127.0.0.1:{self.gateway.peer.port}",
            "RAG_CONSOLE_GATEWAY_URL": f"http://{self.gateway.address}",
            "RAG_CONSOLE_DAGSTER_URL": self.dagster.url_for(""),
            "RAG_CONSOLE_METRICS_URLS": self.dagster.url_for("/metrics"),
            "RAG_CONSOLE_SIGN_IN": "none",
            "RAG_CONSOLE_TOKEN_FILE": str(self.token_file),
            "RAG_CONSOLE_REFRESH_SECONDS": "1",
        }

    def reset(self) -> None:
        """Everything healthy."""
        self.gateway.reset()
        self.gateway.probes.expect_request("/ready").respond_with_json({"ready": True, "reasons": []})
        self.data, self.asked = healthy_dagster(), []
        self.dagster.clear()
        self.dagster.expect_request("/metrics").respond_with_data(METRICS)
        self.dagster.expect_request("/graphql").respond_with_handler(self._graphql)

    def _graphql(self, request: Request) -> Response:
        self.asked.append(request.get_json())
        return Response(json.dumps({"data": self.data}), content_type="application/json")

    @property
    def mutations(self) -> list[str]:
        """What Dagster was told to do."""
        return [
            item["query"].partition("{")[2].partition("(")[0].strip()
            for item in self.asked
            if "mutation" in item["query"]
        ]


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


@pytest.fixture(scope="session")
def component_manager() -> BidiComponentManager:
    """The harness would search every installed package for components in each test, which takes most of its time."""
    found = BidiComponentManager()
    found.discover_and_register_components(start_file_watching=False)
    return found


@pytest.fixture
def app(
    platform: Platform, component_manager: BidiComponentManager, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    """The console on its first page, not yet run."""
    import streamlit as st

    for name, value in platform.environment.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()  # clients of another test's platform
    opened = AppTest.from_file(str(ROOT / "main.py"), default_timeout=60)
    opened._bidi_component_manager = component_manager
    yield opened
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def console_url(running_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_console(tmp_path_factory.mktemp("streamlit"), running_platform.environment) as url:
        yield url


@pytest.fixture
def page(console_url: str, platform: Platform, browser: Browser) -> Iterator[Page]:
    """The overview page of a new visitor."""
    opened = browser.new_context(locale="en-GB").new_page()
    opened.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    opened.goto(console_url)
    yield opened
    opened.context.close()
