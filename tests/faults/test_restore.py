"""`rag backup` and `rag restore`: a stack whose folder is lost comes back from one file with one command."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dulwich import porcelain
from pytest_httpserver import HTTPServer

from tests.support.local_stack import LocalStack
from tests.support.sites import Site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
FOLDERS, TABLES, APIS = ("orchard", "halls", "cellar"), ("tickets", "orders", "notes"), ("items", "parts")


@pytest.fixture
def stack(httpserver: HTTPServer) -> Iterator[LocalStack]:
    reachable = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "FETCH_PORTS": f"80,443,{httpserver.port}"}
    stack = LocalStack(extra={"EMBEDDER": "fake", **reachable})
    yield stack
    stack.close()


def ok(stack: LocalStack, *arguments: str) -> Any:
    code, printed = stack.rag(*arguments, seconds=1200)
    assert code == 0, printed
    return printed


def ten_sources(stack: LocalStack, site: Site) -> dict[str, dict[str, Any]]:
    """Options of sources of five kinds, each with one document that says the word `of-NAME`."""
    found: dict[str, dict[str, Any]] = {}
    for name in FOLDERS:
        (stack.folder / name).mkdir()
        (stack.folder / name / "page.md").write_text(text_of(name))
        found[name] = {"kind": "folder", "root": str(stack.folder / name)}
    for name in TABLES:
        path = stack.folder / f"{name}.db"
        with sqlite3.connect(path) as table:
            table.execute("CREATE TABLE articles (id integer PRIMARY KEY, body text, changed integer)")
            table.execute("INSERT INTO articles VALUES (1, ?, 1)", (text_of(name),))
        found[name] = {
            "kind": "sql", "database": {"driver": "sqlite", "path": str(path)}, "table": "articles", "key": "id",
            "content": "body", "updated_at": "changed",
        }  # fmt: skip
    for name in APIS:
        site.json(f"/{name}", {"data": [{"id": "1", "body": text_of(name)}]})
        fields = {"id": "$.id", "content": "$.body"}
        found[name] = {"kind": "api", "url": site.url(f"/{name}"), "items": "$.data", "fields": fields}
    site.page("/site/", text_of("pages"))
    found["pages"] = {"kind": "site", "seeds": [site.url("/site/")], "delay_seconds": 0}
    (stack.folder / "repository").mkdir()
    repository = porcelain.init(str(stack.folder / "repository"))
    (stack.folder / "repository" / "page.md").write_text(text_of("repository"))
    porcelain.add(repository, [str(stack.folder / "repository" / "page.md")])
    porcelain.commit(repository, b"one", author=b"t <t@example.com>", committer=b"t <t@example.com>")
    repository.close()
    found["repository"] = {"kind": "git", "repository": str(stack.folder / "repository")}
    return found


def text_of(name: str) -> str:
    return f"# About {name}\n\nWhat is written here is the text of the source of-{name} alone.\n"


def write_sources(stack: LocalStack, options: dict[str, dict[str, Any]]) -> None:
    folder = stack.home / "sources"
    folder.mkdir(parents=True)
    for name, chosen in options.items():
        attributes = {"name": name, "tenant": "default", "acl": ["everyone"], "options": chosen}
        document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))


def named_as_orphaned(stack: LocalStack, name: str) -> dict[str, bool]:
    """Whether each face names the source whose file is gone."""
    shown = [item for item in stack.status()["platform"]["sources"] if item["name"] == name]
    listed = [row for row in ok(stack, "source", "status") if row["name"] == name]
    return {
        "status": shown[0]["condition"].get("needs_attention", False),  # what Overview lists
        "source status": bool(listed) and listed[0]["needs_attention"],
        "verify": [one["source"] for one in ok(stack, "verify")["orphaned_sources"]] == [name],
    }


def test_a_lost_folder_comes_back_with_ten_sources_and_what_was_erased_since_stays_erased(
    stack: LocalStack, httpserver: HTTPServer, tmp_path: Path
) -> None:
    options = ten_sources(stack, Site(httpserver))
    assert (len(options), len({one["kind"] for one in options.values()})) == (10, 5)
    write_sources(stack, options)
    waited_for = ok(stack, "up")["ingest"]  # not for what a stream worker had read before
    assert set(waited_for.values()) <= {"SUCCESS"}
    assert {row["name"] for row in ok(stack, "source", "status") if row["documents"]} == options.keys()
    (tmp_path / "person.md").write_text("# Person\n\nThe locker of Ada Marigold is number seven.\n")
    person = ok(stack, "documents", "put", str(tmp_path / "person.md"), "--acl", "everyone")["doc_id"]
    assert eventually(lambda: stack.rag("documents", "get", person)[0] == 0, seconds=300)
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    file, key = str(tmp_path / "backup"), ("--key-file", str(tmp_path / "key"))
    kept = ok(stack, "backup", file, *key)
    assert (kept["encrypted"], kept["database"]) == (True, True)
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600

    (stack.folder / "orchard" / "later.md").write_text("# Later\n\nThe orchard grows begonia pears.\n")
    ok(stack, "documents", "delete", person, "--erase")
    shutil.copy(stack.home / "erasures.jsonl", tmp_path / "erasures.jsonl")
    assert stack.rag("restore", file, *key)[0] == 2  # HOME_NOT_EMPTY: nothing is overwritten
    ok(stack, "down")
    shutil.rmtree(stack.home)
    shutil.rmtree(stack.folder / "cellar")

    code, restored = stack.rag("restore", file, *key, "--ledger", str(tmp_path / "erasures.jsonl"), seconds=1800)
    assert code == 7, restored  # one source has gone meanwhile
    ended = restored["sources"]
    assert {name for name, status in ended.items() if status == "SUCCESS"} == options.keys() - {"cellar"}
    assert ["source cellar could not be read" in line for line in restored["missing"]] == [True]
    assert (restored["erased_again"], restored["verified"]) == (1, True)
    there = [f"--source={name}" for name in options if name != "cellar"]
    assert ok(stack, "verify", *there)["orphaned_sources"] == []
    assert stack.rag("documents", "get", person)[0] == 5
    assert "begonia" in str(ok(stack, "query", "--search", "begonia pears"))
    for name in options:
        assert f"of-{name}" in str(ok(stack, "query", "--search", f"of-{name}", "--source", name)), name
    assert "seven" not in str(stack.rag("query", "--search", "locker of Ada Marigold")[1])

    (file_of_notes,) = (stack.home / "sources").rglob("notes.yaml")
    file_of_notes.unlink()
    assert eventually(lambda: set(named_as_orphaned(stack, "notes").values()) == {True}, seconds=300)
