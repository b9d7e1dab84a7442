"""Directories that are files: read, run as an asset with its check, and by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_assets.defs.directories.assets import directories, directory_files
from rag_assets.directories import read_directory
from rag_assets.resources import PIPELINE
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.exit_codes import Exit
from rag_core.governance.access import list_keys
from rag_core.governance.directories import list_directories, resolve
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings
from ragctl.app import run

CORP = """
kind: file
tenant: acme
csv: people.csv
entries:
  - {entry: "group:board", names: ["gid:7"]}
"""
PEOPLE = """entry,names,members,active
user:ann,uid:1000;email:Ann@acme.example,,
user:bo,,,no
group:staff,gid:100,user:ann;group:board,
group:empty,gid:9,-,
"""


@pytest.fixture
def folder(settings: Settings) -> Path:
    found = settings.effective_directories_dir
    found.mkdir(parents=True)
    (found / "corp.yaml").write_text(CORP)
    (found / "people.csv").write_text(PEOPLE)
    return found


def materialize(pipeline: Pipeline) -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
    done = dg.materialize([directories], resources={PIPELINE: pipeline})
    [made], [check] = done.asset_materializations_for_node("directories"), done.get_asset_check_evaluations()
    return {name: value.value for name, value in made.metadata.items()}, check


def test_a_changed_file_starts_a_run_that_applies_it_and_its_check_finds_what_is_wrong(
    settings: Settings, store: Store, folder: Path
) -> None:
    with Pipeline(settings) as pipeline, dg.DagsterInstance.ephemeral() as instance:
        first = dg.build_sensor_context(instance, resources={PIPELINE: pipeline})
        asked = directory_files(first)
        assert isinstance(asked, dg.RunRequest)
        again = dg.build_sensor_context(instance, cursor=first.cursor, resources={PIPELINE: pipeline})
        assert isinstance(directory_files(again), dg.SkipReason)
        metadata, check = materialize(pipeline)
        assert (metadata["memberships"], check.passed) == (2, True)
        (folder / "broken.yaml").write_text("kind: file\ntenant: acme\nentries: [{entry: ann}]\n")
        (folder / "people.csv").write_text(PEOPLE.replace("user:ann;group:board", "user:ann"))
        metadata, check = materialize(pipeline)
        assert (metadata["memberships"], check.passed) == (1, False)
        assert "user:SUBJECT or group:NAME" in str(check.metadata["broken"].value)
    with store.engine.connect() as connection:
        assert {one.entry for one in resolve(connection, "acme", "ann", (), trusted=False).memberships} == {
            "corp/uid:1000", "corp/email:ann@acme.example", "group:staff", "corp/gid:100",
        }  # fmt: skip
        assert not resolve(connection, "acme", "bo", (), trusted=False).active
        assert resolve(connection, "acme", "cy", ("board", "empty"), trusted=False).groups == ("board",)


@pytest.mark.parametrize(
    ("yaml", "rows", "why"),
    [
        ("kind: other\ntenant: acme\n", "", "kind"),
        ("kind: ldap\ntenant: acme\n", "", "host"),
        ("kind: file\n", "", "tenant"),
        ("kind: file\ntenant: acme\ncsv: none.csv\n", "", "cannot be read"),
        (CORP, "entry,active\nuser:ann,maybe\n", "row 2: active"),
        (CORP, "entry,members\nuser:ann,user:bo\n", "a person has no members"),
        (CORP, "name\nann\n", "user:SUBJECT or group:NAME"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(
    settings: Settings, folder: Path, yaml: str, rows: str, why: str
) -> None:
    (folder / "corp.yaml").write_text(yaml)
    (folder / "people.csv").write_text(rows)
    with pytest.raises(RagError, match=why):
        read_directory(folder / "corp.yaml", settings)


def test_the_command_syncs_lists_holds_approves_and_removes(
    settings: Settings, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(settings.home))
    monkeypatch.setenv("RAG_DATABASE_URL", settings.effective_database_url)
    many = "".join(f"user:u{number},,,\n" for number in range(9))
    (folder / "people.csv").write_text(PEOPLE + many)
    assert run(["access", "sync"]) == 0
    capsys.readouterr()
    assert run(["access", "sync", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["corp"] == {"changed": 0, "held": 0}
    (folder / "people.csv").write_text(PEOPLE)
    assert run(["access", "sync"]) == Exit.FAILED
    shown = capsys.readouterr()
    assert "corp: 9 removals are held" in shown.out
    assert "DIRECTORY_HELD" in shown.err
    assert run(["access", "sync", "--approve", "9"]) == Exit.WRONG_INPUT, "of which directory?"
    assert run(["access", "sync", "other", "--approve", "9"]) == Exit.NOT_FOUND
    assert run(["access", "sync", "corp", "--approve", "9"]) == 0
    assert run(["access", "directories"]) == 0
    assert run(["access", "remove", "corp", "--tenant", "acme"]) == 0
    assert run(["access", "remove", "corp", "--tenant", "acme"]) == Exit.NOT_FOUND
    with store.engine.connect() as connection:
        assert list_directories(connection) == []


def test_a_directory_that_is_pushed_is_made_listed_and_never_overwritten_by_a_file(
    settings: Settings, store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(settings.home))
    monkeypatch.setenv("RAG_DATABASE_URL", settings.effective_database_url)
    assert run(["access", "scim", "corp", "--tenant", "acme", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["base_url"], made["token"][:4]) == ("http://127.0.0.1:8080/scim/v2", "rag_")
    assert run(["access", "scim", "corp", "--tenant", "acme", "--subject", "externalId"]) == Exit.FAILED
    assert run(["access", "sync"]) == Exit.FAILED, "the file has the same name"
    assert "DIRECTORY_EXISTS" in capsys.readouterr().err
    (folder / "corp.yaml").rename(folder / "files.yaml")
    assert run(["access", "sync"]) == 0
    assert run(["access", "scim", "files", "--tenant", "acme"]) == Exit.FAILED
    assert run(["access", "scim", "No Name"]) == Exit.WRONG_INPUT
    capsys.readouterr()
    assert run(["access", "directories", "--json"]) == 0
    assert {(one["name"], one["kind"]) for one in json.loads(capsys.readouterr().out)} == {
        ("corp", "scim"),
        ("files", "file"),
    }
    assert run(["access", "scim", "corp", "--tenant", "acme"]) == 0, "another token"
    assert run(["access", "remove", "corp", "--tenant", "acme"]) == 0
    with store.engine.connect() as connection:
        assert [key["revoked_at"] is None for key in list_keys(connection, tenant="acme")] == [False, False]
