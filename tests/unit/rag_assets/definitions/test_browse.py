"""Browsing a source before all of its options are known: what there is to select from, held to the rules of a run."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import jsonpath
import pytest
from psycopg import connect
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer

from rag_assets.connectors.filesystem.browse import MAX_FOLDERS
from rag_assets.source_admin import parse_definition, render_definition
from rag_assets.source_admin.browse import browse_source
from rag_core.errors import ConfigError, PermissionDenied, RagError, Reason
from rag_core.settings import Settings

LOOPBACK = {"fetch_allow_networks": "127.0.0.0/8,::1/128", "fetch_ports": "1-65535"}
TABLE = (
    "CREATE TABLE articles (id integer PRIMARY KEY, title varchar(80), body text, author text, written date,"
    " changed_at timestamp)"
)
SUGGESTED = {"key": "id", "title": "title", "content": "body, author", "updated_at": "changed_at"}


def browse(options: dict[str, Any], tmp_path: Path, *, restricted: bool = False, **settings: Any) -> dict[str, Any]:
    """What is offered, values by type beside the rest of the answer."""
    text = render_definition({"name": "docs", "tenant": "acme", "restricted": restricted, "options": options})
    found = browse_source(parse_definition(text, browsing=True), Settings(home=tmp_path / "home", **settings))
    by_type: dict[str, dict[str, str]] = {}
    for offer in found["offers"]:
        by_type.setdefault(offer["type"], {})[offer["value"]] = offer["about"]
    return found | by_type


def folder(tmp_path: Path) -> Path:
    root = tmp_path / "srv"
    for name in ("handbook/rules", ".hidden", "home/secrets"):
        (root / name).mkdir(parents=True)
    (root / "sly").symlink_to("/etc")
    (root / "notes.md").write_text("# Notes\n")
    return root


def test_folders_are_listed_with_the_one_above_and_no_links(tmp_path: Path) -> None:
    root = folder(tmp_path)
    found = browse({"kind": "folder", "root": str(root)}, tmp_path)
    assert found["folder"] == {str(tmp_path): "..", str(root / "handbook"): "", str(root / "home"): ""}
    assert (found["sample"], found["more"]) == ("notes.md", False)
    inner = browse({"kind": "folder", "root": str(root / "handbook")}, tmp_path)
    assert list(inner["folder"]) == [str(root), str(root / "handbook" / "rules")]
    assert "/proc" not in browse({"kind": "folder"}, tmp_path)["folder"], "it begins with the folders of the machine"


def test_the_home_of_the_installation_is_passed_by_and_not_browsed(tmp_path: Path) -> None:
    root = folder(tmp_path)
    own = root / "home"
    text = render_definition({"name": "a", "tenant": "acme", "options": {"kind": "folder", "root": str(root)}})
    found = browse_source(parse_definition(text, browsing=True), Settings(home=own))
    assert str(own) not in {offer["value"] for offer in found["offers"]}
    for inside in (own, own / "secrets"):
        config = parse_definition(text.replace(str(root), str(inside)), browsing=True)
        with pytest.raises(ConfigError) as refused:
            browse_source(config, Settings(home=own))
        assert refused.value.reason is Reason.PATH_OUTSIDE_ROOT


def test_a_tenant_browses_its_own_folders_and_no_others(tmp_path: Path) -> None:
    root = folder(tmp_path)
    allowed = {"acme": {"roots": [str(root / "handbook")]}}
    top = browse({"kind": "folder"}, tmp_path, restricted=True, source_allowances=allowed)
    assert top["folder"] == {str(root / "handbook"): ""}
    at_root = browse({"kind": "folder", "root": str(root / "handbook")}, tmp_path, restricted=True,
                     source_allowances=allowed)  # fmt: skip
    assert list(at_root["folder"]) == [str(root / "handbook" / "rules")], "nothing above the allowed root"
    (root / "handbook" / "out").symlink_to(root / "home")
    for place in (root, root / "handbook" / "out"):
        with pytest.raises(PermissionDenied) as refused:
            browse({"kind": "folder", "root": str(place)}, tmp_path, restricted=True, source_allowances=allowed)
        assert refused.value.reason is Reason.SOURCE_NOT_ALLOWED


def test_a_folder_of_many_folders_says_that_there_are_more(tmp_path: Path) -> None:
    for number in range(MAX_FOLDERS + 1):
        (tmp_path / "many" / f"{number:04}").mkdir(parents=True)
    found = browse({"kind": "folder", "root": str(tmp_path / "many")}, tmp_path)
    assert (len(found["folder"]), found["more"]) == (MAX_FOLDERS + 1, True)


def test_tables_and_columns_are_listed_and_those_that_fit_suggested(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "notes.db") as connection:
        connection.execute(TABLE)
        connection.execute("CREATE VIEW latest AS SELECT id, body FROM articles")
    database = {"driver": "sqlite", "path": str(tmp_path / "notes.db")}
    found = browse({"kind": "sql", "database": database}, tmp_path)
    assert (list(found["table"]), "column" in found) == (["articles", "latest"], False)
    found = browse({"kind": "sql", "database": database, "table": "articles"}, tmp_path)
    assert list(found["column"]) == ["id", "title", "body", "author", "written", "changed_at"]
    assert (found["column"]["id"], found["suggested"]) == ("integer", SUGGESTED)
    assert list(browse({"kind": "sql", "database": database, "table": "unheard"}, tmp_path)["table"]) == list(
        found["table"]
    )


def test_tables_of_every_schema_of_a_server_are_listed(tmp_path: Path, empty_database_url: str) -> None:
    given = conninfo_to_dict(empty_database_url)
    with connect(empty_database_url, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.execute('CREATE SCHEMA shop; CREATE TABLE shop."odd name" (code text UNIQUE, body text)')
    database = {"driver": "postgresql", "host": given["host"], "port": int(str(given["port"])),
                "name": given["dbname"], "user": given["user"]}  # fmt: skip
    found = browse({"kind": "sql", "database": database, "table": "articles"}, tmp_path)
    assert list(found["table"]) == ["articles", "shop.odd name"]
    assert found["suggested"] == SUGGESTED
    other = browse({"kind": "sql", "database": database, "table": "shop.odd name"}, tmp_path)
    assert other["suggested"] == {"key": "code", "content": "body"}


ANSWER = {
    "meta": {"total": 2, "pages": [{"n": 1}]},
    "the items": [
        {"id": 7, "name": "Pump", "body": {"text": "Pump 7 needs oil.\u202e"}, "tags": ["a", "b"], "it's": 1},
        {"id": 8, "name": "Valve", "body": {"text": "Valve 2 opens at four bar."}, "tags": []},
    ],
}


def test_an_answer_is_shown_and_its_paths_are_written(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/items", query_string={"all": "1"}).respond_with_json(ANSWER)
    options = {"kind": "api", "url": httpserver.url_for("/items"), "params": {"all": "1"}, "items": "$"}
    found = browse(options, tmp_path, **LOOPBACK)
    assert found["list"] == {"$.meta.pages": "1", "$['the items']": "2"}
    assert found["suggested"] == {"items": "$['the items']", "fields.id": "$.id", "fields.title": "$.name",
                                  "fields.content": "$.body.text"}  # fmt: skip
    assert list(found["field"]) == ["$.id", "$.name", "$.body.text", "$.tags[*]", "$['it\\'s']"]
    item = jsonpath.findall("$['the items']", ANSWER)[0][0]
    assert all(jsonpath.findall(path, item) for path in found["field"])
    assert '"name": "Pump"' in found["sample"]
    assert "\u202e" not in found["sample"] + str(found["field"]), "what changes the direction of text is not shown"
    other = browse({**options, "items": "$.meta.pages"}, tmp_path, **LOOPBACK)
    assert list(other["field"]) == ["$.n"]


@pytest.mark.parametrize("answer", [[], {}, "text", 7, [1, 2], {"a": {"a": {"a": {"a": {"a": [{"b": 1}]}}}}}])
def test_an_answer_without_a_list_of_objects_is_shown_all_the_same(
    tmp_path: Path, httpserver: HTTPServer, answer: Any
) -> None:
    httpserver.expect_request("/items").respond_with_json(answer)
    found = browse({"kind": "api", "url": httpserver.url_for("/items")}, tmp_path, **LOOPBACK)
    assert (found["offers"], found["suggested"]) == ((), {})
    assert found["sample"]


def test_an_answer_that_is_nested_deeply_is_cut(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/items").respond_with_data("[" * 700 + "]" * 700, content_type="application/json")
    found = browse({"kind": "api", "url": httpserver.url_for("/items")}, tmp_path, **LOOPBACK)
    assert found["sample"].count("[") < 20


def test_a_large_answer_is_cut(tmp_path: Path, httpserver: HTTPServer) -> None:
    rows = [{f"field{name}": "x" * 5000 for name in range(300)} for _ in range(20)]
    httpserver.expect_request("/items").respond_with_json(rows)
    found = browse({"kind": "api", "url": httpserver.url_for("/items")}, tmp_path, **LOOPBACK)
    assert len(found["sample"]) <= 6000
    assert len(found["field"]) <= 60
    assert max(map(len, found["field"].values())) <= 120


def test_what_a_run_may_not_call_is_not_browsed(tmp_path: Path) -> None:
    with pytest.raises(RagError) as refused:
        browse({"kind": "api", "url": "http://127.0.0.1:80/items"}, tmp_path)
    assert refused.value.reason is Reason.SSRF_BLOCKED
    allowed = {"acme": {"hosts": ["api.acme.example"]}}
    with pytest.raises(PermissionDenied):
        browse({"kind": "api", "url": "https://elsewhere.example/"}, tmp_path, restricted=True,
               source_allowances=allowed)  # fmt: skip


def test_a_kind_that_cannot_be_browsed_says_so(tmp_path: Path) -> None:
    with pytest.raises(RagError, match="cannot be browsed"):
        browse({"kind": "site", "seeds": ["https://docs.example.org/"]}, tmp_path)
