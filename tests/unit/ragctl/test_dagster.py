"""What the command line makes of Dagster's answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_clients.dagster import DagsterClient
from rag_clients.dagster_answers import failure_reason
from rag_core.errors import RagError
from rag_core.settings import Settings
from ragctl.container.tasks import try_run
from ragctl.dagster import dagster_client
from ragctl.local_stack.ingest import SourceJob, launch

FULL = (
    "sqlalchemy.exc.OperationalError: (psycopg2.errors.DiskFull) could not extend file: No space left on device\n"
    "[SQL: INSERT INTO runs VALUES (1)]"
)
LATE = "grpc._channel._InactiveRpcError: <_InactiveRpcError of RPC that terminated with:\n\tstatus = DEADLINE_EXCEEDED"
GONE = "(psycopg2.OperationalError) server closed the connection unexpectedly"


@pytest.fixture
def api(httpserver: HTTPServer) -> Iterator[DagsterClient]:
    with closing(dagster_client(Settings(host="127.0.0.1", dagster_port=httpserver.port))) as opened:
        yield opened


def answers(server: HTTPServer, *bodies: dict[str, Any]) -> None:
    for body in bodies:
        server.expect_ordered_request("/graphql").respond_with_json(body)


def page(cursor: str, events: list[dict[str, Any]], *, more: bool = False) -> dict[str, Any]:
    found = {"__typename": "EventConnection", "cursor": cursor, "hasMore": more, "events": events}
    return {"data": {"logsForRun": found}}


def test_the_runs_of_a_sharded_source_that_die_are_begun_again(api: DagsterClient, httpserver: HTTPServer) -> None:
    answers(
        httpserver, {"data": {"launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": "b"}}}
    )
    assert api.launch("docs", shards=2) == "b"
    [(request, _)] = httpserver.log
    params = request.get_json()["variables"]["params"]
    assert params["partitionNames"] == ["0", "1"]
    assert {"key": "dagster/max_retries", "value": "2"} in params["tags"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": GONE, "path": ["runsOrError"]}, "DATABASE_UNAVAILABLE: Dagster cannot reach its database"),
        ({"message": FULL, "path": ["runsOrError"]}, "STORAGE_FULL: the database has no space left"),
        (
            {"message": "Cannot query field 'x'"},
            "DAGSTER_UNAVAILABLE: Dagster did not answer a query: Cannot query field",
        ),
    ],
)
def test_an_error_of_dagsters_database_is_not_called_one_of_versions(
    api: DagsterClient, httpserver: HTTPServer, error: dict[str, Any], said: str
) -> None:
    answers(httpserver, {"data": None, "errors": [error]})
    with pytest.raises(RagError) as caught:
        api.runs()
    assert str(caught.value).startswith(said)
    assert ("version may not fit" in caught.value.message) is ("path" not in error)
    assert "psycopg2" not in caught.value.message


@pytest.mark.parametrize(
    "said", [LATE, f"dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach\n{LATE}"]
)
@pytest.mark.parametrize("executed", [True, False])
def test_a_code_server_that_does_not_answer_is_busy_and_its_traceback_is_not_shown(
    api: DagsterClient, httpserver: HTTPServer, said: str, executed: bool
) -> None:
    error = {"message": said, "path": ["runsOrError"]}
    refused = {"data": {"runsOrError": {"__typename": "PythonError", "message": said}}}
    answers(httpserver, refused if executed else {"data": None, "errors": [error]})
    with pytest.raises(RagError) as caught:
        api.runs()
    assert str(caught.value) == (
        "DAGSTER_UNAVAILABLE: Dagster's webserver or code server has not answered in time: it is busy; "
        "run it again in a moment"
    )


def test_a_webserver_that_is_busy_is_not_called_one_that_is_down(httpserver: HTTPServer) -> None:
    done = threading.Event()

    def late(_request: Request) -> Response:
        done.wait(30)
        return Response("{}")

    httpserver.expect_request("/graphql").respond_with_handler(late)
    settings = Settings(host="127.0.0.1", dagster_port=httpserver.port)
    with closing(dagster_client(settings, 0.2)) as api, pytest.raises(RagError) as caught:
        api.runs()
    done.set()
    assert "busy; run it again in a moment" in caught.value.message


def test_a_run_that_cannot_start_for_a_full_disk_says_so_without_statements(
    api: DagsterClient, httpserver: HTTPServer
) -> None:
    answers(httpserver, {"data": {"launchRun": {"__typename": "PythonError", "message": FULL}}})
    with pytest.raises(RagError) as caught:
        launch(api, SourceJob("docs", "docs", 1))
    assert str(caught.value) == "STORAGE_FULL: the database has no space left; free space and run again"


def test_the_reason_of_a_failed_run_is_the_typed_error_behind_dagsters(
    api: DagsterClient, httpserver: HTTPServer
) -> None:
    causes = [
        "dagster._core.definitions.events.Failure: SOURCE_DENIED: the database refuses this user",
        "builtins.OSError: [Errno 5]",
    ]
    failed = {
        "message": "dagster._core.errors.DagsterMaxRetriesExceededError: Exceeded max_retries of 3",
        "causes": [{"message": message} for message in causes],
    }
    answers(
        httpserver,
        page("a", [{}, {}], more=True),
        {
            "data": {
                "logsForRun": {
                    "__typename": "EventConnection",
                    "cursor": "b",
                    "hasMore": False,
                    "events": [{}, {"error": failed}],
                }
            }
        },
    )
    assert failure_reason(api.log("run")) == "SOURCE_DENIED: the database refuses this user"


def test_the_reason_of_a_run_that_a_check_stopped_is_what_the_check_says(
    api: DagsterClient, httpserver: HTTPServer
) -> None:
    def check(name: str, *, success: bool = False, severity: str = "ERROR", said: str | None = None) -> dict[str, Any]:
        return {"evaluation": {"checkName": name, "success": success, "severity": severity, "description": said}}

    events = [
        check("accounting", success=True, said="all is well"),
        check("index_parity", severity="WARN", said="5 points of 6"),
        check("document_budget", said="QUOTA_EXCEEDED: the documents asset says how many were left out"),
        {"error": {"message": "dagster._core.errors.DagsterAssetCheckFailedError: 1 check failed\n", "causes": []}},
    ]
    answers(
        httpserver,
        page("a", events),
    )
    assert failure_reason(api.log("run")) == "QUOTA_EXCEEDED: the documents asset says how many were left out"


def _states(*states: str) -> list[dict[str, Any]]:
    runs = [{"runId": "r1", "jobName": "maintenance", "status": state, "tags": []} for state in states]
    return [{"data": {"runsOrError": {"__typename": "Runs", "results": [run]}}} for run in runs]


def test_a_run_is_tried_to_its_good_end(httpserver: HTTPServer) -> None:
    started = {"data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}}
    answers(httpserver, started, *_states("QUEUED", "SUCCESS"))
    try_run(Settings(dagster_port=httpserver.port), "127.0.0.1", "maintenance", "30")
    launched, *looks = [json.loads(request.data) for request, _ in httpserver.log]
    assert launched["variables"]["params"]["selector"]["pipelineName"] == "maintenance"
    assert [look["variables"]["filter"] for look in looks] == [{"runIds": ["r1"]}] * 2


@pytest.mark.parametrize(
    ("state", "seconds", "said"),
    [("FAILURE", "30", "run r1 is FAILURE: no space"), ("QUEUED", "0.5", "run r1 is QUEUED: not ended after 0.5 s")],
)
def test_a_run_that_is_tried_and_does_not_end_well_is_an_error(
    httpserver: HTTPServer, state: str, seconds: str, said: str
) -> None:
    started = {"data": {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}}
    events = [{"error": {"message": "no space", "causes": []}}]
    log = page("1", events)
    answers(httpserver, started, *_states(state), log)
    with pytest.raises(RagError, match=f"DAGSTER_UNAVAILABLE: {said}"):
        try_run(Settings(dagster_port=httpserver.port), "127.0.0.1", "maintenance", seconds)
