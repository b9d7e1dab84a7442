"""`rag source sync`: one change gives one run, and changed source files are loaded first."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import files_fingerprint, load_sources
from rag_assets.connectors import build_connector
from rag_assets.version_tags import CHANGES, LISTING_TAG, TOKEN_TAG, current_version_tag
from rag_core.settings import Settings
from ragctl.local_stack.ingest import Sync
from tests.unit.connectors.listings import settle


class Webserver:
    """Answers as Dagster's webserver with these runs, and keeps what it is asked to do."""

    def __init__(self, server: HTTPServer, folder: Path) -> None:
        self.runs: list[dict[str, Any]] = []
        self.launched: list[dict[str, str]] = []
        self.reloads = 0
        self.loaded = files_fingerprint(folder)
        server.expect_request("/graphql").respond_with_handler(self._answer)

    def run(self, status: str, **tags: str) -> None:
        shown = [{"key": key, "value": value} for key, value in tags.items()]
        self.runs.append({"runId": str(len(self.runs)), "jobName": "handbook_sync", "status": status, "tags": shown})

    def _answer(self, request: Request) -> Response:
        asked = json.loads(request.data)
        document, variables = asked["query"], asked["variables"]
        if "sensorOrError" in document:
            tags = [{"key": "rag/source_files", "value": self.loaded}]
            data: dict[str, Any] = {"sensorOrError": {"__typename": "Sensor", "tags": tags}}
        elif "reloadRepositoryLocation" in document:
            self.reloads += 1
            entry = {
                "__typename": "WorkspaceLocationEntry",
                "locationOrLoadError": {"__typename": "RepositoryLocation"},
            }
            data = {"reloadRepositoryLocation": entry}
        elif "launchRun" in document:
            given = variables["params"]["executionMetadata"]["tags"]
            self.launched.append({tag["key"]: tag["value"] for tag in given})
            data = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "new"}}}
        else:
            wanted = variables["filter"].get("tags", [])
            mine = [run for run in self.runs if all(tag in run["tags"] for tag in wanted)]
            data = {"runsOrError": {"__typename": "Runs", "results": mine}}
        return Response(json.dumps({"data": data}), content_type="application/json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# A\n")
    sources = tmp_path / "home" / "sources"
    sources.mkdir(parents=True)
    attributes = {"name": "handbook", "tenant": "acme", "options": {"kind": "filesystem", "root": str(docs)}}
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    (sources / "handbook.yaml").write_text(yaml.safe_dump(document))
    return sources


@pytest.fixture
def webserver(httpserver: HTTPServer, folder: Path) -> Webserver:
    return Webserver(httpserver, folder)


@pytest.fixture
def token(folder: Path) -> str:
    settle(folder.parent.parent / "docs" / "a.md")
    (config,) = load_sources(folder)
    return current_version_tag(build_connector(config))


@pytest.fixture
def sync(webserver: Webserver, httpserver: HTTPServer, folder: Path) -> Any:
    def start() -> None:
        settings = Settings(home=folder.parent, dagster_port=httpserver.port)
        with closing(Sync(settings)) as opened:
            opened.start([opened.get("handbook")])

    return start


def test_a_run_is_started_and_says_what_the_source_looks_like(sync: Any, webserver: Webserver, token: str) -> None:
    webserver.run("SUCCESS", **{TOKEN_TAG: token})
    sync()
    assert webserver.launched == [{"rag/sync": "handbook", TOKEN_TAG: token}]


@pytest.mark.parametrize("status", ["STARTED", "STARTING"])
def test_a_run_in_progress_for_the_same_state_is_not_repeated(
    sync: Any, webserver: Webserver, token: str, status: str
) -> None:
    webserver.run(status, **{TOKEN_TAG: token, LISTING_TAG: CHANGES})
    sync()
    assert webserver.launched == []


def test_a_run_that_waits_is_not_repeated(sync: Any, webserver: Webserver) -> None:
    webserver.run("QUEUED")
    sync()
    assert webserver.launched == []


@pytest.mark.parametrize("tags", [{}, {TOKEN_TAG: "before the last edit"}])
def test_a_run_that_may_have_missed_the_change_is_followed_by_another(
    sync: Any, webserver: Webserver, tags: dict[str, str]
) -> None:
    webserver.run("STARTED", **tags)
    sync()
    assert len(webserver.launched) == 1


def test_source_files_that_changed_are_loaded_before_the_run(sync: Any, webserver: Webserver) -> None:
    sync()
    assert webserver.reloads == 0
    webserver.loaded = "older files"
    sync()
    assert webserver.reloads == 1
