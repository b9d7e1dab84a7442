"""`rag source edit`, `pause` and `resume`, with a real database and Dagster's answers over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import files_fingerprint
from rag_core.database import Store
from rag_core.errors import ConfigError, InvalidInput, NotFound, RagError, Reason
from rag_core.governance.audit import audit_store
from ragctl.commands.source_edits import edit, pause, resume


class Webserver:
    """Dagster's webserver with the sensor and the schedule of one source."""

    def __init__(self, server: HTTPServer, folder: Path) -> None:
        self.states = {"sensor": "RUNNING", "schedule": "RUNNING"}
        self.refuses, self._folder = False, folder
        server.expect_request("/graphql").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        asked = json.loads(request.data)
        document, variables = asked["query"], asked["variables"]
        if "mutation" in document:
            kind = "schedule" if "chedule" in document else "sensor"
            if not self.refuses:
                self.states[kind] = "RUNNING" if "selector" in variables else "STOPPED"
            verb = "start" if "selector" in variables else "stop"
            name = f"{verb}{'RunningSchedule' if (kind, verb) == ('schedule', 'stop') else kind.title()}"
            return _data(
                {name: {"__typename": "UnauthorizedError" if self.refuses else "Done", "message": "read-only"}}
            )
        if "sensorOrError" in document:
            tags = [{"key": "rag/source_files", "value": files_fingerprint(self._folder)}]
            return _data({"sensorOrError": {"__typename": "Sensor", "tags": tags}})
        job: dict[str, Any] = {"__typename": "Pipeline", "sensors": [], "schedules": []}
        names = {"sensor": "hand_book_changes", "schedule": "hand_book_reconcile"}
        for kind, status in self.states.items():
            state = {"id": f"{kind}-1", "status": status, "ticks": []}
            job[f"{kind}s"].append({"name": names[kind], "pipelineName": "hand_book_sync", f"{kind}State": state})
        return _data({"job": job})


def _data(value: object) -> Response:
    return Response(json.dumps({"data": value}), content_type="application/json")


@pytest.fixture
def folder(tmp_path: Path, httpserver: HTTPServer, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    docs, sources = tmp_path / "docs", tmp_path / "home" / "sources"
    docs.mkdir()
    sources.mkdir(parents=True)
    (docs / "a.md").write_text("# A\n")
    for name, value in {
        "HOME": tmp_path / "home",
        "DAGSTER_PORT": httpserver.port,
        "DATABASE_URL": database_url,
    }.items():
        monkeypatch.setenv(f"RAG_{name}", str(value))
    write(sources, docs)
    return sources


def write(sources: Path, root: Path, **more: Any) -> str:
    attributes = {"name": "hand-book", "tenant": "acme", "options": {"kind": "folder", "root": str(root)}, **more}
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    made = yaml.safe_dump(document, sort_keys=False)
    (sources / "handbook.yaml").write_text(made, "utf-8")
    return made


@pytest.fixture
def webserver(httpserver: HTTPServer, folder: Path) -> Webserver:
    return Webserver(httpserver, folder)


def audited(store: Store) -> list[tuple[str, str]]:
    with store.engine.connect() as connection:
        found = audit_store.find(connection, audit_store.AuditQuery(tenant="acme", limit=10))
        return [(entry.action, entry.target) for entry in reversed(found)]


def test_a_source_is_paused_and_resumed_once_and_that_is_on_record(
    webserver: Webserver, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    pause("hand-book")
    assert webserver.states == {"sensor": "STOPPED", "schedule": "STOPPED"}
    pause("hand-book")
    resume("hand-book", json=True)
    assert webserver.states == {"sensor": "RUNNING", "schedule": "RUNNING"}
    assert audited(store) == [("dagster.pause", "hand-book"), ("dagster.resume", "hand-book")]
    printed = capsys.readouterr().out
    assert "hand-book is paused: its schedule and sensor are off\n" in printed
    assert "are off already" in printed
    assert json.loads(printed.partition("{")[1] + printed.partition("{")[2]) == {
        "source": "hand-book", "paused": False, "switched": ["schedule", "sensor"]
    }  # fmt: skip


def test_what_dagster_refuses_is_an_error(webserver: Webserver) -> None:
    webserver.refuses = True
    with pytest.raises(RagError, match="Dagster refused: read-only") as refused:
        pause("hand-book")
    assert refused.value.reason == Reason.DAGSTER_UNAVAILABLE


def test_a_source_without_automation_has_nothing_to_pause(webserver: Webserver) -> None:
    webserver.states = {}
    with pytest.raises(InvalidInput, match="neither a change sensor nor a schedule"):
        pause("hand-book")


def test_a_source_that_does_not_exist_is_not_found(webserver: Webserver) -> None:
    for act in (pause, resume, edit):
        with pytest.raises(NotFound) as refused:
            act("nowhere")
        assert refused.value.reason == Reason.SOURCE_NOT_FOUND


def test_a_new_text_is_tested_and_written_and_that_is_on_record(folder: Path, store: Store, tmp_path: Path) -> None:
    given = tmp_path / "new.yaml"
    given.write_text((folder / "handbook.yaml").read_text() + "  shards: 2\n", "utf-8")
    assert edit("hand-book", file=given, dry_run=True) is None
    assert "shards" not in (folder / "handbook.yaml").read_text()
    assert edit("hand-book", file=given, yes=True) is None
    assert (folder / "handbook.yaml").read_text() == given.read_text()
    assert audited(store) == [("source.update", "hand-book")]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"shards": -1}, Reason.CONFIG_INVALID),
        ({"name": "other"}, Reason.DUPLICATE_SOURCE),
        ({"options": {"kind": "folder", "root": "/nonexistent/folder"}}, Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_a_wrong_text_is_refused_and_nothing_is_written(
    folder: Path, store: Store, tmp_path: Path, more: dict[str, Any], reason: Reason
) -> None:
    before = (folder / "handbook.yaml").read_text()
    given = tmp_path / "new.yaml"
    given.write_text(write(folder, tmp_path / "docs", **more), "utf-8")
    (folder / "handbook.yaml").write_text(before, "utf-8")
    with pytest.raises(RagError) as refused:
        edit("hand-book", file=given, yes=True)
    assert refused.value.reason == reason
    assert (folder / "handbook.yaml").read_text() == before
    assert audited(store) == []


def test_without_a_terminal_an_editor_is_not_started(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--file"):
        edit("hand-book")


def test_an_editor_changes_the_file_and_what_it_wrote_is_kept_when_it_is_wrong(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    editor = tmp_path / "editor.py"
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    editor.write_text("import sys\nwith open(sys.argv[1], 'a') as file: file.write('  weight: 2\\n')\n", "utf-8")
    assert edit("hand-book", yes=True) is None
    assert "weight: 2" in (folder / "handbook.yaml").read_text()
    assert "+  weight: 2" in capsys.readouterr().out
    editor.write_text("import sys\nwith open(sys.argv[1], 'a') as file: file.write('  wait: 2\\n')\n", "utf-8")
    with pytest.raises(ConfigError):
        edit("hand-book", yes=True)
    kept = Path(capsys.readouterr().err.partition("is kept in ")[2].partition(";")[0])
    assert "wait: 2" in kept.read_text()
    kept.unlink()
