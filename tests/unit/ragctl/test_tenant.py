"""`rag tenant`, and every command of the how-tos on tenants and egress as they print it."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text

from rag_assets.config import load_sources
from rag_core.database import Store
from rag_core.governance.tenants import store as tenants
from rag_core.settings import Settings
from ragctl.app import run
from tests.support.tenant_rows import TenantRows

GUIDES = Path(__file__).parents[3] / "docs" / "how-to"


@pytest.fixture
def machine(settings: Settings, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose commands find the database and an empty home."""
    monkeypatch.setenv("RAG_DATABASE_URL", settings.effective_database_url)
    monkeypatch.setenv("RAG_HOME", str(settings.home))
    monkeypatch.setenv("RAG_EMBEDDER", "fake")
    monkeypatch.chdir(tmp_path)
    settings.effective_sources_dir.mkdir(parents=True)
    return tmp_path


def commands(page: str) -> list[tuple[str, list[str]]]:
    """Each command of the console blocks of a page, and the lines it prints."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", (GUIDES / page).read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.mark.parametrize("page", ["manage-tenants.md", "control-egress.md"])
def test_the_commands_of_a_how_to_do_and_print_what_it_says(
    page: str, machine: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command, expected in commands(page):
        if not command.startswith("rag "):
            subprocess.run(["bash", "-ec", command], cwd=machine, check=True)
            continue
        monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
        assert run(shlex.split(command)[1:]) == 0, command
        printed = " ".join(capsys.readouterr().out.split())
        for line in expected:
            assert " ".join(line.split()) in printed, command
        if page == "control-egress.md" and command.startswith("rag tenant create"):
            rows = "INSERT INTO rag.sources (tenant, name, kind) VALUES"
            with store.engine.begin() as connection:  # the sources of the page
                connection.execute(text(f"{rows} ('acme', 'hr', 'push'), ('acme', 'board', 'push')"))


def test_the_source_file_of_the_how_to_is_valid(machine: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (GUIDES / "control-egress.md").read_text("utf-8"), re.DOTALL)
    (machine / "contracts.yaml").write_text(block)
    (config,) = load_sources(machine)
    assert config.source.egress == ("embed",)


SOURCE = """
type: rag_assets.components.DocumentSource
attributes:
  name: {name}
  tenant: {tenant}
  options: {{kind: folder, root: /srv}}
"""


def test_files_of_a_tenant_are_exported_and_go_with_it(
    machine: Path, settings: Settings, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, questions = settings.effective_sources_dir, settings.effective_questions_dir / "acme"
    for name, tenant in (("ours", "acme"), ("theirs", "other")):
        (folder / f"{name}.yaml").write_text(SOURCE.format(name=name, tenant=tenant))
    (folder / "wrong.yaml").write_text(SOURCE.format(name="wrong", tenant="acme").replace("kind:", "kindd:"))
    questions.mkdir(parents=True)
    (questions / "q.yaml").write_text("questions: []\n")
    with store.engine.begin() as connection:
        TenantRows("acme").write(connection)
    assert run(["tenant", "export", "acme", "--to", "out"]) == 0
    exported = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert {"sources/files/ours.yaml", "sources/files/wrong.yaml", "feedback/questions/q.yaml"} <= exported
    assert "sources/files/theirs.yaml" not in exported
    capsys.readouterr()
    assert run(["tenant", "erase", "acme", "--yes", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["outside"] == {"source_files": 2, "question_files": 1, "runs": 0}
    assert [path.name for path in folder.iterdir()] == ["theirs.yaml"]
    assert not questions.exists()


def test_mistakes_are_refused_with_their_reason(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        ("tenant", "suspend", "nobody"): "TENANT_NOT_FOUND",
        ("tenant", "export", "nobody"): "TENANT_NOT_FOUND",
        ("tenant", "create", "../x"): "ID_CHARS",
        ("tenant", "create", "a", "--egress", "moon"): "FIELD_INVALID",
    }
    for command, reason in wrong.items():
        assert run(command) != 0
        assert reason in capsys.readouterr().err
    assert run(["tenant", "create", "acme"]) == 0
    assert run(["tenant", "egress", "acme", "--source", "hr"]) != 0
    assert run(["tenant", "erase", "acme"]) != 0, "without a terminal nothing is erased unasked"
    assert "CONFIRMATION_NEEDED" in capsys.readouterr().err


def test_the_list_and_the_policy_are_shown_also_as_json(
    machine: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op", egress=["embed"])
    assert run(["tenant", "list", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["state"], found["effective_egress"]) == (
        *("acme", "active"), {"tenant": ["embed"], "sources": {}},
    )  # fmt: skip
    assert run(["tenant", "egress", "acme", "--allow", "default"]) == 0
    assert "RAG_EGRESS_DEFAULT" in capsys.readouterr().out
