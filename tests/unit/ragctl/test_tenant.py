"""`rag tenant`, and every command of the how-tos on tenants and egress as they print it. `rag secret set`: a
credential that sources use at once, in no database, log or output."""

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
from rag_core.content.sources import SecretRef, store_secret
from rag_core.database import Store
from rag_core.errors import ConfigError
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


SHOP = SecretRef(env="RAG_SECRET_SHOP_PASSWORD")


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_stored_secret_is_used_at_once_replaced_listed_by_name_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="RAG_SECRET_SHOP_PASSWORD is not set"):
        SHOP.read()
    for value in ("first", "pass phrase of ours"):
        typed(monkeypatch, f"{value}\n")
        assert run(["secret", "set", "shop-password"]) == 0
        assert SHOP.read().get_secret_value() == value
    monkeypatch.setenv("RAG_SECRET_SHOP_PASSWORD", "the variable wins")
    assert SHOP.read().get_secret_value() == "the variable wins"
    monkeypatch.delenv("RAG_SECRET_SHOP_PASSWORD")
    (file,) = (tmp_path / "secrets" / "sources").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert b"pass phrase" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert run(["secret", "list", "--output", "json"]) == 0
    printed = capsys.readouterr()
    assert "pass phrase" not in printed.out + printed.err
    assert json.loads(printed.out[printed.out.index("{\n") :])["data"] == ["RAG_SECRET_SHOP_PASSWORD"]
    assert run(["secret", "remove", "RAG_SECRET_SHOP_PASSWORD"]) == 0
    assert run(["secret", "remove", "shop-password"]) != 0
    with pytest.raises(ConfigError):
        SHOP.read()


def test_a_secret_of_another_key_or_name_is_none_and_one_of_the_release_before_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    folder = tmp_path / "secrets" / "sources"
    folder.mkdir(parents=True)
    (folder / "RAG_SECRET_SHOP_PASSWORD").write_text("as it was")
    assert SHOP.read().get_secret_value() == "as it was"
    store_secret("RAG_SECRET_OTHER", "of another")
    (folder / "RAG_SECRET_OTHER").replace(folder / "RAG_SECRET_SHOP_PASSWORD")
    with pytest.raises(ConfigError, match="RAG_SECRET_SHOP_PASSWORD is not set"):
        SHOP.read()
    store_secret("RAG_SECRET_SHOP_PASSWORD", "mine")
    key = tmp_path / "secrets" / "sources.key"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)
    key.write_bytes(bytes(32))
    with pytest.raises(ConfigError):
        SHOP.read()


def test_a_rotated_key_takes_every_secret_with_it_and_the_old_one_opens_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    for step in ("rotate", "retire"):
        assert run(["secret", step, "sources"]) == 2  # there is no key yet
    key, folder = tmp_path / "secrets" / "sources.key", tmp_path / "secrets" / "sources"
    store_secret("RAG_SECRET_SHOP_PASSWORD", "mine")
    (folder / "RAG_SECRET_LOST").write_bytes(b"rag-sealed-1\n" + bytes(40))
    old, before = key.read_bytes(), (folder / "RAG_SECRET_SHOP_PASSWORD").read_bytes()
    assert run(["secret", "rotate", "sources"]) == 0
    assert SHOP.read().get_secret_value() == "mine"
    assert (folder / "RAG_SECRET_SHOP_PASSWORD").read_bytes() != before
    (folder / "RAG_SECRET_SHOP_PASSWORD").write_bytes(before)  # by a process that had read the old key
    assert SHOP.read().get_secret_value() == "mine"
    assert run(["secret", "retire", "sources"]) == 0
    assert "RAG_SECRET_LOST" in capsys.readouterr().out
    assert SHOP.read().get_secret_value() == "mine"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)
    key.write_bytes(old)
    with pytest.raises(ConfigError):
        SHOP.read()


@pytest.mark.parametrize(("name", "value"), [("../x", "a"), ("a b", "a"), ("a", ""), ("a", "x\0"), ("a", "x" * 70_000)])
def test_what_is_no_name_or_no_secret_is_refused(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    typed(monkeypatch, value)
    assert run(["secret", "set", name]) == 2
    assert list(tmp_path.iterdir()) == []
