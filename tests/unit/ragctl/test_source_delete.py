"""`rag source delete`: the file goes first, then the runs of the source, then its documents; with Dagster's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import files_fingerprint
from rag_core.content.sources import Source, operation_store
from rag_core.content.sources import store as sources
from rag_core.database import Store
from rag_core.governance.audit import AuditQuery, find
from ragctl.app import run

RUNS = {
    "queued": ("hand_book_sync", "QUEUED", ""),
    "started": ("hand_book_sync", "STARTED", ""),
    "over": ("hand_book_sync", "SUCCESS", ""),
    "ending": ("hand_book_sync", "CANCELING", ""),
    "shard": ("__ASSET_JOB", "STARTED", "hand_book"),
}
SOURCES = ("hand_book", "other")


class Webserver:
    """Dagster's webserver with runs of the source and backfills of two sources."""

    def __init__(self, server: HTTPServer, file: Path) -> None:
        self.done: list[str] = []
        self.file_was_there = True
        self.refuses = False
        self.lists_nothing = False
        self._file, self._loaded = file, loaded_files(file.parent)
        server.expect_request("/graphql").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        asked = json.loads(request.data)
        document, variables = asked["query"], asked["variables"]
        if "sensorOrError" in document:
            return _data({"sensorOrError": {"__typename": "Sensor", "tags": self._loaded}})
        if "sensorDryRun" in document:  # the watcher of the source files loads them
            self.done.append("reload")
            self.file_was_there = self._file.exists()
            self._loaded = loaded_files(self._file.parent)
            result = {"cursor": files_fingerprint(self._file.parent)}
            return _data({"sensorDryRun": {"__typename": "DryRunInstigationTick", "evaluationResult": result}})
        if "mutation" in document:
            name = "cancelPartitionBackfill" if "cancelPartitionBackfill" in document else "terminateRun"
            if self.refuses:
                return _data({name: {"__typename": "UnauthorizedError", "message": "read-only"}})
            self.done.append(variables["id"])
            return _data({name: {"__typename": "Success"}})
        if "partitionBackfillsOrError" in document:
            found = [
                {"id": f"of-{key}", "status": "REQUESTED", "assetSelection": [{"path": [key, "index"]}]}
                for key in SOURCES
            ]
            if self.lists_nothing:
                failure = {"__typename": "PythonError", "message": "the daemon is away\n  at line 1"}
                return _data({"partitionBackfillsOrError": failure})
            return _data({"partitionBackfillsOrError": {"__typename": "PartitionBackfills", "results": found}})
        chosen = variables["filter"]
        rows: list[dict[str, Any]] = [
            {
                "runId": name,
                "jobName": job,
                "status": status,
                "tags": [{"key": "rag/sync", "value": tag}],
            }
            for name, (job, status, tag) in RUNS.items()
            if (job == chosen.get("pipelineName") or (tag and chosen.get("tags"))) and status in chosen["statuses"]
        ]
        return _data({"runsOrError": {"__typename": "Runs", "results": rows}})


def loaded_files(folder: Path) -> list[dict[str, str]]:
    """The tag of the code location that has loaded the files of the folder."""
    return [{"key": "rag/source_files", "value": files_fingerprint(folder)}]


def _data(value: object) -> Response:
    return Response(json.dumps({"data": value}), content_type="application/json")


@pytest.fixture
def webserver(
    tmp_path: Path, httpserver: HTTPServer, store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Webserver:
    folder = tmp_path / "home" / "sources"
    folder.mkdir(parents=True)
    attributes = {"name": "hand-book", "tenant": "acme", "options": {"kind": "folder", "root": str(tmp_path)}}
    file = folder / "handbook.yaml"
    file.write_text(yaml.safe_dump({"type": "rag_assets.components.DocumentSource", "attributes": attributes}))
    values = {
        "HOME": tmp_path / "home",
        "DAGSTER_PORT": httpserver.port,
        "DATABASE_URL": database_url,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"RAG_{name}", str(value))
    monkeypatch.setenv("RAG_EMBEDDER", "fake")
    with store.engine.begin() as connection:
        operation_store.register(connection, Source("hand-book", "acme", "filesystem"))
    return Webserver(httpserver, file)


def test_runs_and_backfills_of_a_deleted_source_are_ended_after_dagster_forgot_it_and_that_is_on_record(
    webserver: Webserver, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["source", "delete", "hand-book", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert webserver.done == ["reload", "of-hand_book", "queued", "started", "shard"]
    assert not webserver.file_was_there
    assert (receipt["deleted"], receipt["runs_ended"]) == (True, webserver.done[1:])
    with store.engine.connect() as connection:
        entries = find(connection, AuditQuery(tenant="acme"))
    assert [entry.target for entry in entries if entry.action == "dagster.terminate"] == webserver.done[:0:-1]


def test_a_source_is_deleted_also_while_dagster_ends_nothing_and_the_attempt_is_on_record(
    webserver: Webserver, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    webserver.refuses = True
    assert run(["source", "delete", "hand-book", "--yes"]) == 0
    printed = capsys.readouterr()
    assert "its runs were not ended: Dagster refused: read-only" in printed.err
    assert "hand-book is deleted" in printed.out
    with store.engine.connect() as connection:
        entries = find(connection, AuditQuery(tenant="acme"))
    assert [entry.target for entry in entries if entry.action == "dagster.terminate"] == ["of-hand_book"]


def test_runs_that_dagster_cannot_list_are_not_called_none(
    webserver: Webserver, capsys: pytest.CaptureFixture[str]
) -> None:
    webserver.lists_nothing = True
    assert run(["source", "delete", "hand-book", "--yes"]) == 0
    assert "its runs were not ended: Dagster refused: the daemon is away" in capsys.readouterr().err


def test_a_source_with_a_wrong_file_is_deleted_as_well(
    webserver: Webserver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "home" / "sources" / "hand-book.yaml"
    (tmp_path / "home" / "sources" / "handbook.yaml").rename(file)
    file.write_text("attributes: {name: hand-book, options: {kind: nothing}}\n")
    assert run(["source", "delete", "hand-book", "--tenant", "acme", "--yes"]) == 0
    assert not file.exists()
    assert "hand-book is deleted" in capsys.readouterr().out
    assert run(["source", "delete", "hand-book", "--tenant", "acme", "--yes"]) == 5


def test_what_another_tenant_pushed_into_a_source_of_the_name_is_deleted_and_nothing_of_its_owner(
    webserver: Webserver, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.engine.begin() as connection:
        operation_store.register(connection, Source("hand-book", "other", "push"))
    assert run(["source", "delete", "hand-book", "--tenant", "other", "--yes"]) == 0
    assert (tmp_path / "home" / "sources" / "handbook.yaml").exists()
    assert webserver.done == [], "the runs of the name are its owner's"
    with store.engine.connect() as connection:
        assert sources.find(connection, "acme", "hand-book") is not None
        assert sources.find(connection, "other", "hand-book") is None
