"""`rag source sync`: one change gives one run, and changed source files are loaded first."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import files_fingerprint, load_sources
from rag_assets.connectors import build_connector
from rag_assets.version_tags import CHANGES, LISTING_TAG, TOKEN_TAG, current_version_tag
from rag_core.content.sources import store as sources
from rag_core.content.streams import store as streams
from rag_core.database import Store
from rag_core.ingestion.source_status import WORKER_ENTRY
from rag_core.settings import Settings
from ragctl.local_stack.display import Silent
from ragctl.local_stack.ingest import Sync
from tests.contract.connectors.places import Table
from tests.support.pipeline import PipelineHarness
from tests.support.sites import Site
from tests.unit.rag_assets.connectors.listings import settle


class Webserver:
    """Answers as Dagster's webserver with these runs, and keeps what it is asked to do."""

    def __init__(self, server: HTTPServer, folder: Path) -> None:
        self.runs: list[dict[str, Any]] = []
        self.launched: list[dict[str, str]] = []
        self.reloads, self.port = 0, server.port
        self._folder, self.loaded = folder, files_fingerprint(folder)
        server.expect_request("/graphql").respond_with_handler(self._answer)

    def run(self, status: str, **tags: str) -> None:
        shown = [{"key": key, "value": value} for key, value in tags.items()]
        number = len(self.runs)
        self.runs.append({"runId": str(number), "jobName": "handbook_sync", "status": status,
                          "creationTime": float(number), "tags": shown})  # fmt: skip

    def _answer(self, request: Request) -> Response:
        asked = json.loads(request.data)
        document, variables = asked["query"], asked["variables"]
        if "sensorOrError" in document:
            tags = [{"key": "rag/source_files", "value": self.loaded}]
            data: dict[str, Any] = {"sensorOrError": {"__typename": "Sensor", "tags": tags}}
        elif "sensorDryRun" in document:  # the watcher of the source files loads them
            self.reloads += 1
            self.loaded = files_fingerprint(self._folder)
            data = {
                "sensorDryRun": {"__typename": "DryRunInstigationTick", "evaluationResult": {"cursor": self.loaded}}
            }
        elif "launchRun" in document:
            given = variables["params"]["executionMetadata"]["tags"]
            self.launched.append({tag["key"]: tag["value"] for tag in given})
            data = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "new"}}}
        elif "logsForRun" in document:
            data = {"logsForRun": {"__typename": "EventConnection", "events": [], "cursor": "", "hasMore": False}}
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
    attributes = {"name": "handbook", "tenant": "acme", "options": {"kind": "folder", "root": str(docs)}}
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


@pytest.mark.parametrize(
    ("status", "tags", "launched"),
    [
        ("STARTED", "the state of now", 0),
        ("STARTING", "the state of now", 0),
        ("QUEUED", {}, 0),
        ("STARTED", {}, 1),
        ("STARTED", {TOKEN_TAG: "before the last edit"}, 1),
    ],
    ids=["in progress", "starting", "waits", "of no known state", "of the state before"],
)
def test_a_run_is_repeated_only_when_it_may_have_missed_the_change(
    sync: Any, webserver: Webserver, token: str, status: str, tags: Any, launched: int
) -> None:
    webserver.run(status, **({TOKEN_TAG: token, LISTING_TAG: CHANGES} if tags == "the state of now" else tags))
    sync()
    assert len(webserver.launched) == launched


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, "SUCCESS"),
        ({LISTING_TAG: CHANGES}, {}, "SUCCESS"),
        ({"dagster/will_retry": "true", "dagster/auto_retry_run_id": "1"}, {}, "SUCCESS"),
        ({}, {LISTING_TAG: CHANGES}, "FAILURE"),
        ({"dagster/partition": "0"}, {"dagster/partition": "1"}, "FAILURE"),
    ],
)
def test_what_became_of_a_source_is_what_its_newest_complete_run_says(
    webserver: Webserver, folder: Path, store: Store, settings: Settings,
    before: dict[str, str], after: dict[str, str], said: str,
) -> None:  # fmt: skip
    """A run that was under way when a source was mended fails; a sync that followed it called the source failed."""
    here = settings.model_copy(update={"sources_dir": folder, "dagster_port": webserver.port})
    webserver.run("STARTED", **before)
    with closing(Sync(here)) as opened:
        job = opened.get("handbook")
        opened.start([job])
        webserver.runs[0]["status"] = "FAILURE"
        webserver.run("SUCCESS", **after)
        [outcome] = opened.wait([job], Silent())
    assert outcome.status == said


def test_a_first_run_lists_everything_also_when_the_sensor_started_it(
    sync: Any, webserver: Webserver, folder: Path, tmp_path: Path
) -> None:
    """A later run of the sensor lists only the changes of a table, which is less than a sync promises."""
    table = Table(tmp_path, cast("Site", None))
    table.put("1", "Pump 7")
    document = yaml.safe_load((folder / "handbook.yaml").read_text())
    document["attributes"]["options"] = table.options
    (folder / "handbook.yaml").write_text(yaml.safe_dump(document))
    (config,) = load_sources(folder)
    tags = {TOKEN_TAG: current_version_tag(build_connector(config)), LISTING_TAG: CHANGES}
    webserver.run("STARTED", **tags)
    sync()
    assert webserver.launched == []
    webserver.run("SUCCESS", **tags)
    sync()
    assert len(webserver.launched) == 1


def test_source_files_that_changed_are_loaded_before_the_run(sync: Any, webserver: Webserver) -> None:
    sync()
    assert webserver.reloads == 0
    webserver.loaded = "older files"
    sync()
    assert webserver.reloads == 1


class Shown(Silent):
    """Keeps what is said of the work, and lets something happen each time."""

    def __init__(self, then: Callable[[str], None]) -> None:
        self.said: list[str] = []
        self._then = then

    def progress(self, name: str, done: int, total: int | None, unit: str = "") -> None:
        self.said.append(unit)
        self._then(unit)


def test_a_wait_says_what_it_waits_for_until_the_run_reads(
    webserver: Webserver, folder: Path, settings: Settings
) -> None:
    here = settings.model_copy(update={"sources_dir": folder, "dagster_port": webserver.port})
    states = iter(["STARTING", "STARTED", "SUCCESS"])

    def go_on(_: str) -> None:
        webserver.runs[:] = []
        webserver.run(next(states))

    webserver.run("QUEUED")
    shown = Shown(go_on)
    with closing(Sync(here)) as opened:
        opened.start([opened.get("handbook")])
        [outcome] = opened.wait([opened.get("handbook")], shown)
    assert outcome.succeeded
    waited = ["queued", "its process starts"]
    assert shown.said == [*(f"documents; {what}" for what in waited), "documents"]


def test_while_a_run_reads_no_state_of_a_source_at_rest_is_shown(
    webserver: Webserver, folder: Path, flow: PipelineHarness, settings: Settings
) -> None:
    """The rows learn of a run seconds later: a first load went from "its process starts" back to "not read yet"."""
    here = settings.model_copy(update={"sources_dir": folder, "dagster_port": webserver.port})
    flow.connector.put("a.txt", b"The bells ring at noon in the old tower.")
    flow.run()
    webserver.run("STARTED")
    shown = Shown(lambda _: webserver.runs[0].update(status="SUCCESS"))
    with closing(Sync(here)) as opened:
        opened.wait([opened.get("handbook")], shown)
    assert shown.said == ["documents; its run reads"]


def test_the_first_load_of_a_small_source_is_left_to_a_living_worker_and_dagster_is_not_asked(
    httpserver: HTTPServer, folder: Path, flow: PipelineHarness, settings: Settings
) -> None:
    here = settings.model_copy(update={"sources_dir": folder, "dagster_port": httpserver.port})
    flow.connector.put("a.txt", b"The bells ring at noon in the old tower.")
    beat(flow)

    def read(_: str) -> None:
        first = len(shown.said) == 1
        if first:
            flow.run()
        with flow.store.engine.begin() as connection:
            # Documents that are searchable before all are applied: more may come.
            sources.record_applied(connection, "acme", "handbook", cast("str", None) if first else "as it is now")

    shown = Shown(read)
    with closing(Sync(here)) as opened:
        opened.start([opened.get("handbook")])
        [outcome] = opened.wait([opened.get("handbook")], shown)
    assert outcome.succeeded
    assert shown.said == ["documents; a stream worker reads it"] * 2


def test_a_first_load_that_a_worker_does_not_bring_in_has_a_run(
    webserver: Webserver, folder: Path, flow: PipelineHarness, settings: Settings
) -> None:
    here = settings.model_copy(update={"sources_dir": folder, "dagster_port": webserver.port})
    beat(flow)

    def want_a_run(said: str) -> None:
        beat(flow, {"tenant": "acme", "source": "handbook", "tag": "large", "after": None})
        if webserver.launched and not webserver.runs:
            webserver.run("SUCCESS")

    with closing(Sync(here)) as opened:
        opened.start([opened.get("handbook")])
        assert webserver.launched == []
        [outcome] = opened.wait([opened.get("handbook")], Shown(want_a_run))
    assert (outcome.succeeded, len(webserver.launched)) == (True, 1)


def beat(flow: PipelineHarness, *wanted: dict[str, Any]) -> None:
    with flow.store.engine.begin() as connection:
        streams.heartbeat(connection, "worker", {WORKER_ENTRY: {"wanted": wanted}})
