"""Backup and restore of a whole stack, as docs/how-to/backup-and-restore.md says it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_core.database.embedded.account import ServerAccount, programs
from tests.support.local_stack import RAG, LocalStack
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SUPERVISOR = str(Path(RAG).with_name("supervisorctl"))


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    stack = LocalStack()
    yield stack
    stack.close()


def ok(stack: LocalStack, *arguments: str) -> Any:
    code, printed = stack.rag(*arguments, seconds=900)
    assert code == 0, printed
    return printed


def postgres(stack: LocalStack, program: str, *arguments: str, role: str = "rag") -> None:
    where = ["-h", "127.0.0.1", "-p", stack.environment["RAG_POSTGRES_PORT"], "-U", role, "-d", "rag"]
    password = {"PGPASSWORD": (stack.home / "secrets" / "database-owner").read_text()}
    command = [str(programs(ServerAccount()) / program), *where, *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **password})


def all_but_postgres(stack: LocalStack, action: str) -> None:
    control = [SUPERVISOR, "-c", str(stack.home / "run" / "supervisord.conf")]
    listing = subprocess.run([*control, "status"], capture_output=True, text=True, check=False).stdout
    parts = [line.split()[0] for line in listing.splitlines() if not line.startswith("postgres")]
    subprocess.run([*control, action, *parts], check=True, capture_output=True)


def keep(stack: LocalStack, archive: Path, action: str) -> None:
    subprocess.run(["tar", "-C", str(stack.home), action, str(archive), "secrets", "sources"], check=True)


def named_as_orphaned(stack: LocalStack) -> dict[str, bool]:
    """Whether each face names the source whose file is gone."""
    shown = [item for item in stack.status()["platform"]["sources"] if item["name"] == "orchard"]
    listed = [row for row in ok(stack, "source", "status") if row["name"] == "orchard"]
    return {
        "status": shown[0]["condition"].get("needs_attention", False),  # what Overview lists
        "source status": bool(listed) and listed[0]["needs_attention"],
        "verify": [one["source"] for one in ok(stack, "verify")["orphaned_sources"]] == ["orchard"],
    }


def test_a_lost_disk_is_restored_and_what_was_erased_since_stays_erased(stack: LocalStack, tmp_path: Path) -> None:
    orchard = stack.folder / "orchard"
    orchard.mkdir()
    (stack.docs / "oil.md").write_text("# Oil\n\nThe pump of hall nine needs zinnia oil.\n")
    (orchard / "trees.md").write_text("# Trees\n\nThe orchard has forty medlar trees.\n")
    ok(stack, "up", "--docs", str(stack.docs))
    ok(stack, "source", "add", "folder", str(orchard), "--name", "orchard", "--acl", "everyone")
    ok(stack, "source", "sync", "orchard")
    (tmp_path / "person.md").write_text("# Person\n\nThe locker of Ada Marigold is number seven.\n")
    person = ok(stack, "documents", "put", str(tmp_path / "person.md"), "--acl", "everyone")["doc_id"]
    postgres(stack, "pg_dump", "-Fc", "-f", str(tmp_path / "backup"))
    keep(stack, tmp_path / "files.tar", "-cpf")

    (orchard / "later.md").write_text("# Later\n\nThe orchard grows begonia pears.\n")
    ok(stack, "documents", "delete", person, "--erase")
    shutil.copy(stack.home / "erasures.jsonl", tmp_path / "erasures.jsonl")
    ok(stack, "down")
    for lost in stack.home.iterdir():
        if lost.name != "models":  # made again from packages, which takes half a minute
            shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    keep(stack, tmp_path / "files.tar", "-xpf")
    ok(stack, "up", "--no-ingest")
    all_but_postgres(stack, "stop")
    dump = ["--clean", "--if-exists", str(tmp_path / "backup")]
    postgres(stack, "pg_restore", *dump, "--no-owner", "--schema", "rag", role="rag_owner")
    postgres(stack, "pg_restore", *dump, "--schema", "public")
    ok(stack, "down")
    ok(stack, "index", "rebuild")
    ok(stack, "up", "--no-ingest")
    ok(stack, "documents", "reapply-erasures", "--ledger", str(tmp_path / "erasures.jsonl"))
    for source in ok(stack, "source", "list"):
        ok(stack, "source", "sync", source["name"])

    assert ok(stack, "verify")["orphaned_sources"] == []
    assert stack.rag("documents", "get", person)[0] == 5
    assert "zinnia" in str(ok(stack, "query", "What oil does the pump of hall nine need?"))
    assert "begonia" in str(ok(stack, "query", "Which pears does the orchard grow?"))
    assert "medlar" in str(ok(stack, "query", "How many medlar trees does the orchard have?"))
    assert "seven" not in str(stack.rag("query", "Which number is the locker of Ada Marigold?")[1])

    (file,) = (stack.home / "sources").rglob("orchard.yaml")
    file.unlink()
    assert eventually(lambda: set(named_as_orphaned(stack).values()) == {True}, seconds=300), named_as_orphaned(stack)
