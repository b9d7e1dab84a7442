"""Every question and order of the console's Dagster client, put to the pinned Dagster itself; and what a page of
another site gets from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.ports import free_port
from console.clients.dagster import dagster_client
from console.clients.errors import ServiceError
from console.settings import ConsoleSettings
from rag_clients.dagster import DagsterClient
from rag_clients.dagster_answers import Automation, DagsterRun
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
NAME = "dagster.example.org"
LOCATION = Path(__file__).with_name("location.py")
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""


@dataclass(frozen=True)
class Place:
    """A Dagster, and the file that tells its assets what to do."""

    dagster: DagsterClient
    wanted: Path
    address: str

    def run(self, run_id: str) -> DagsterRun:
        return next(item for item in self.dagster.runs(50) if item.run_id == run_id)

    def ends(self, run_id: str) -> str:
        """The status a run ends with."""
        final = {"SUCCESS", "FAILURE", "CANCELED"}
        assert eventually(lambda: self.run(run_id).status in final, seconds=120), self.run(run_id)
        return self.run(run_id).status

    def automation(self, name: str) -> Automation:
        [found] = [item for item in self.dagster.automations_of("docs") if item.name == name]
        assert found in self.dagster.automations()
        return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text(INSTANCE, "utf-8")
    file = {"python_file": {"relative_path": str(LOCATION), "location_name": LOCATION.name}}
    (home / "workspace.yaml").write_text(json.dumps({"load_from": [file]}), "utf-8")
    port, wanted = free_port(), home / "wanted"
    environment = {**os.environ, "DAGSTER_HOME": str(home), "LOCATION_SWITCH": str(wanted), "RAG_HOME": str(home)}
    environment |= {"RAG_DAGSTER_PORT": str(port), "RAG_ALLOWED_HOSTS": NAME, "RAG_DAGSTER_ORIGINS": f"https://{NAME}"}
    command = [sys.executable, "-m", "rag_assets.webserver", str(home / "workspace.yaml")]
    with (home / "log").open("wb") as log:
        served = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home,
                                  preexec_fn=die_with_parent)  # fmt: skip
    settings = ConsoleSettings(dagster_url=f"http://127.0.0.1:{port}", dagster_location=LOCATION.name,
                               call_seconds=60)  # fmt: skip  # the first launch imports all of Dagster
    dagster = dagster_client(settings)

    def loaded() -> bool:
        assert served.poll() is None, (home / "log").read_text()
        try:
            return not dagster.health().broken_locations
        except ServiceError:
            return False

    try:
        assert eventually(loaded, seconds=300), (home / "log").read_text()
        yield Place(dagster, wanted, f"127.0.0.1:{port}")
    finally:
        dagster.close()
        served.terminate()
        served.wait(30)


@pytest.fixture(autouse=True)
def calm(place: Place) -> None:
    place.wanted.unlink(missing_ok=True)


def test_a_source_is_run_and_what_came_of_it_is_reported(place: Place) -> None:
    run_id = place.dagster.launch("docs")
    assert place.ends(run_id) == "SUCCESS"
    assert place.run(run_id).job == "docs_sync"
    assets = {item.stage: item for item in place.dagster.assets("docs")}
    assert {stage: item.after for stage, item in assets.items()} == {
        "documents": (), "chunks": ("documents",), "embeddings": ("chunks",), "index": ("embeddings",)
    }  # fmt: skip
    assert all(item.at and item.status == "SUCCESS" for item in assets.values())
    [check] = place.dagster.checks("docs")
    assert (check.stage, check.name, check.blocking, check.passed) == ("documents", "accounted", True, True)
    assert place.dagster.backfills() == []


def test_a_tenant_sees_the_runs_of_its_own_sources_and_their_sensors(place: Place) -> None:
    run_id = place.dagster.launch("docs")
    assert place.ends(run_id) == "SUCCESS"
    own, other = place.dagster.within("acme", ["docs"]), place.dagster.within("globex", ["reports"])
    assert run_id in {run.run_id for run in own.runs(50)}
    assert [run.run_id for run in own.runs(1, job="docs_sync")] == [run_id]
    assert {item.name for item in own.automations_of("docs")} == {"docs_changes", "docs_daily"}
    assert not other.runs(50)
    assert not other.runs(50, job="docs_sync")
    assert not other.automations()
    assert not other.automations_of("docs")
    assert not place.dagster.within("", []).runs(50), "a caller whose tenant is not known sees nobody's"
    assert not place.dagster.automations_of("nowhere")


def test_some_stages_of_a_source_are_run_alone(place: Place) -> None:
    run_id = place.dagster.launch("docs", stages=["index"])
    assert place.ends(run_id) == "SUCCESS"
    steps = {event.get("stepKey") for event in place.dagster.log(run_id)} - {None}
    assert steps == {"docs__index"}


def test_a_failed_run_says_why_and_is_run_again_from_where_it_failed(place: Place) -> None:
    place.wanted.write_text("fail chunks")
    failed = place.dagster.launch("docs")
    assert place.ends(failed) == "FAILURE"
    assert "chunks was told to fail" in str(place.dagster.log(failed))
    place.wanted.unlink()
    again = place.dagster.retry(failed)
    assert place.ends(again) == "SUCCESS"
    assert "docs__documents" not in {event.get("stepKey") for event in place.dagster.log(again)}


def test_a_run_under_way_is_stopped(place: Place) -> None:
    place.wanted.write_text("wait documents")
    run_id = place.dagster.launch("docs")
    assert eventually(lambda: place.run(run_id).status == "STARTED", seconds=60)
    assert place.run(run_id).can_terminate
    assert next(item for item in place.dagster.assets("docs") if item.stage == "documents").running
    place.dagster.terminate(run_id)
    assert place.ends(run_id) == "CANCELED"


def test_a_run_under_way_is_found_so_that_no_second_one_is_started(place: Place) -> None:
    assert place.dagster.under_way("docs", watched=True, read_before=True) == ""
    place.wanted.write_text("wait documents")
    run_id = place.dagster.launch("docs")
    assert eventually(lambda: place.run(run_id).status == "STARTED", seconds=60)
    assert place.dagster.under_way("docs", watched=True, read_before=True) == run_id
    assert place.dagster.under_way("docs", watched=False, read_before=True) == "", "nothing sees later changes"
    assert place.dagster.under_way("other", watched=True, read_before=True) == ""
    assert place.dagster.active_work("docs") == ([], [run_id])
    assert place.dagster.active_work("other") == ([], [])
    place.dagster.terminate(run_id)
    assert place.ends(run_id) == "CANCELED"


def test_what_dagster_does_not_cancel_is_said(place: Place) -> None:
    with pytest.raises(ServiceError):
        place.dagster.cancel_backfill("none")


def test_checks_keep_their_newest_result_while_a_run_is_under_way_and_after_it_failed_before_them(place: Place) -> None:
    assert place.ends(place.dagster.launch("docs")) == "SUCCESS"
    [evaluated] = place.dagster.checks("docs")
    place.wanted.write_text("wait documents")
    run_id = place.dagster.launch("docs")
    assert eventually(lambda: place.run(run_id).status == "STARTED", seconds=60)
    assert place.dagster.checks("docs") == [evaluated]
    place.dagster.terminate(run_id)
    assert place.ends(run_id) == "CANCELED"
    assert place.dagster.checks("docs") == [evaluated]


def test_what_cannot_be_stopped_or_run_again_is_refused(place: Place) -> None:
    for order in (place.dagster.terminate, place.dagster.retry):
        with pytest.raises(ServiceError, match="DAGSTER_REFUSED"):
            order("00000000-0000-0000-0000-000000000000")
    with pytest.raises(ServiceError, match="DAGSTER_REFUSED"):
        place.dagster.launch("nowhere")
    ended = place.dagster.launch("docs")
    assert place.ends(ended) == "SUCCESS"
    place.dagster.terminate(ended, ended_ok=True)


def test_the_code_is_loaded_again_and_the_watcher_of_a_code_without_one_has_loaded_nothing(place: Place) -> None:
    place.dagster.reload()
    assert place.dagster.loaded_files() == ""


@pytest.mark.parametrize("name", ["docs_changes", "docs_daily"])
def test_sensors_and_schedules_are_switched_on_and_off(place: Place, name: str) -> None:
    assert not place.automation(name).running
    place.dagster.switch(place.automation(name), on=True)
    assert place.automation(name).running
    place.dagster.switch(place.automation(name), on=False)
    assert not place.automation(name).running


def test_a_sensor_is_asked_without_starting_anything(place: Place) -> None:
    sensor, before = place.automation("docs_changes"), len(place.dagster.runs(50))
    assert place.dagster.check(sensor) == "nothing changed"
    assert len(place.dagster.runs(50)) == before


def test_a_source_that_its_sensor_cannot_read_is_refused_with_what_it_says(place: Place) -> None:
    place.wanted.write_text("unreadable")
    with pytest.raises(ServiceError, match="DAGSTER_REFUSED") as refused:
        place.dagster.check(place.automation("docs_changes"))
    assert refused.value.detail == "ValueError: the folder cannot be read"


# --------------------------------------------------------------------------------------------------------------------
# What a page of another site can make the browser of an operator send.

START = """mutation { startSensor(sensorSelector: {repositoryLocationName: "location.py",
  repositoryName: "__repository__", sensorName: "docs_changes"}) { __typename } }"""
VERSION = {"query": "{ version }"}
EVIL = "http://evil.example"
JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}
FROM_ELSEWHERE = {"origin": EVIL, "sec-fetch-site": "cross-site"}


@pytest.mark.catalogue("A22")
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("GET", "/graphql", {}, 405, id="a link or picture"),
        pytest.param("GET", "/graphql/", {"accept": "image/*"}, 405, id="another spelling"),
        pytest.param("HEAD", "/graphql", {}, 405, id="head"),
        pytest.param("GET", "/graphql", {"sec-fetch-site": "cross-site", "accept": "text/html"}, 403, id="a frame"),
        pytest.param("POST", "/graphql", TEXT, 415, id="text"),
        pytest.param("POST", "/graphql", {"content-type": "text/plain; a=application/json"}, 415, id="text as json"),
        pytest.param("POST", "/graphql", {"content-type": "application/x-www-form-urlencoded"}, 415, id="a form"),
        pytest.param("POST", "/graphql", {"content-type": "application/graphql"}, 415, id="graphql"),
        pytest.param("POST", "/graphql", {}, 415, id="no type"),
        pytest.param("POST", "/graphql", JSON | {"origin": EVIL}, 403, id="another origin"),
        pytest.param("POST", "/graphql", JSON | {"origin": "null"}, 403, id="a page in a sandbox"),
        pytest.param("POST", "/graphql", JSON | {"origin": "http://127.0.0.1:1"}, 403, id="another port"),
        pytest.param(
            "POST", "/graphql", JSON | {"sec-fetch-site": "same-site"}, 403, id="another port, by the browser"
        ),
        pytest.param("POST", "/graphql", JSON | {"host": "evil.example", "origin": EVIL}, 403, id="dns rebinding"),
        pytest.param("POST", "/graphql", JSON | {"host": "evil.example"}, 403, id="dns rebinding, read"),
        pytest.param("PUT", "/graphql", JSON, 405, id="another method"),
        pytest.param("OPTIONS", "/graphql", FROM_ELSEWHERE, 403, id="may I"),
        pytest.param("GET", "/logs/a/b/c", FROM_ELSEWHERE, 403, id="logs"),
        pytest.param("GET", "/server_info", {"host": "evil.example"}, 403, id="versions"),
        pytest.param("GET", "/download_debug/x", {"host": "evil.example"}, 403, id="debug file"),
        pytest.param("GET", "/notebook", {"sec-fetch-site": "cross-site"}, 403, id="notebook"),
        pytest.param("POST", "/report_asset_materialization/docs/documents", {}, 415, id="an event without a body"),
    ],
)
def test_a_page_of_another_site_changes_and_reads_nothing_of_dagster(
    place: Place, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    before = len(place.dagster.runs(50))
    body = json.dumps({"query": START}) if method == "POST" else None
    asked = {"host": place.address, **headers}
    response = httpx.request(method, f"http://{place.address}{path}", params={"query": START}, content=body,
                             headers=asked, timeout=60, trust_env=False)  # fmt: skip
    assert response.status_code == status, response.text
    assert "access-control-allow-origin" not in response.headers
    assert not place.automation("docs_changes").running
    assert len(place.dagster.runs(50)) == before


@pytest.mark.catalogue("A22")
@pytest.mark.parametrize("headers", [{"origin": EVIL}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_page_of_another_site_opens_no_subscription(place: Place, headers: dict[str, str]) -> None:
    asked = {"host": place.address, **headers}
    with pytest.raises(InvalidStatus) as refused:
        subscription(place, asked)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program"),
        pytest.param({"host": "10.1.2.3:3000"}, id="by another address"),
        pytest.param({"host": f"{NAME}:3000", "origin": f"http://{NAME}:3000", "sec-fetch-site": "same-origin"},
                     id="a page by the configured name"),
        pytest.param({"origin": f"https://{NAME}", "sec-fetch-site": "same-origin"}, id="behind a proxy"),
    ],
)  # fmt: skip
def test_programs_and_dagsters_own_pages_get_answers(place: Place, headers: dict[str, str]) -> None:
    asked = {"host": place.address, **headers}
    url = f"http://{place.address}/graphql"
    response = httpx.post(url, json=VERSION, headers=asked, timeout=60, trust_env=False)
    assert response.json()["data"]["version"]
    with subscription(place, asked) as opened:
        opened.send(json.dumps({"type": "connection_init"}))
        assert json.loads(opened.recv(timeout=60))["type"] == "connection_ack"


def test_a_link_from_another_page_opens_dagster_and_no_frame_does(place: Place) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    for path in ("/", "/runs", "/graphql"):
        page = httpx.get(f"http://{place.address}{path}", headers=link | {"accept": "text/html"}, timeout=60)
        assert page.status_code == 200
        assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    framed = link | {"sec-fetch-dest": "iframe"}
    assert httpx.get(f"http://{place.address}/runs", headers=framed, timeout=60).status_code == 403


def subscription(place: Place, headers: dict[str, str]) -> ClientConnection:
    host, _, port = place.address.partition(":")
    more = {name: value for name, value in headers.items() if name != "host"}
    return connect(f"ws://{headers['host']}/graphql", sock=socket.create_connection((host, int(port))), proxy=None,
                   subprotocols=[Subprotocol("graphql-ws")], additional_headers=more, open_timeout=60)  # fmt: skip
