"""The documentation as Markdown and the events of buckets, through the real gateway."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import httpx

from interfaces.documentation import FOLDER
from rag_core.database import open_store
from rag_core.governance.access import NewKey, create_key
from rag_core.settings import Settings
from tests.support.interfaces import OpenInterfaces
from tests.support.names import ROOT


def test_a_program_without_a_token_gets_the_index_and_every_page_it_names(open_interfaces: OpenInterfaces) -> None:
    with httpx.Client(base_url=open_interfaces.url, trust_env=False, timeout=60) as http:
        index = http.get("/llms.txt")
        assert (index.status_code, index.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
        named = re.findall(r"\]\(([^)]+)\)", index.text)
        assert len(named) > 50
        assert "../" not in index.text, "nothing is named that is not served"
        for path in named:
            page = http.get(path)
            assert page.status_code == 200, path
            kind = "application/json" if path == "/openapi.json" else "text/markdown; charset=utf-8"
            assert page.headers["content-type"] == kind
        assert http.get("/docs/how-to/use-mcp.md").text == (FOLDER / "how-to/use-mcp.md").read_text("utf-8")
        for path in ("/docs/nothing.md", "/docs/../pyproject.toml", "/docs/%2e%2e/pyproject.toml", "/docs/llms.txt"):
            assert http.get(path).status_code in (400, 401, 404), path


def test_the_wheel_holds_every_page_that_the_index_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    inside = {ROOT / source: Path(target) for source, target in packed.items()}
    found = {
        str((target / path.relative_to(source)).relative_to("interfaces/pages"))
        for source, target in inside.items()
        if target.is_relative_to("interfaces/pages")
        for path in (source.rglob("*.md") if source.is_dir() else [source])
    }
    assert found == {str(path.relative_to(FOLDER)) for path in [*FOLDER.rglob("*.md"), FOLDER / "llms.txt"]} - {
        "history/before-0.2.md",
        "history/measurements.md",
        "history/merged-tests.md",
        "history/performance-2026-11.md",
        "history/trial-2026-11-30.md",
    }


def test_an_event_of_a_bucket_comes_in_the_form_of_its_service_with_a_key_where_that_puts_it(
    open_interfaces: OpenInterfaces, tmp_path: Path
) -> None:
    store = open_store(Settings(home=tmp_path, database_url=open_interfaces.server.database_url))
    with store.engine.begin() as db:
        db.exec_driver_sql("INSERT INTO rag.sources (tenant, name, kind, shards) VALUES ('acme', 'bucket', 's3', 1)")
        key = create_key(db, NewKey("events", "acme", ["documents.write"], [], 9), actor="test").text
    # As MinIO sends it: fields of its own beside the records, and `authorization` as it was configured.
    event = {"EventName": "s3:ObjectCreated:Put", "Key": "b/docs/a b.txt", "Records": [{
        "eventVersion": "2.0", "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "minio"},
        "s3": {"bucket": {"name": "b"}, "object": {"key": "docs%2Fa+b.txt", "size": 5, "eTag": "x"}},
    }]}  # fmt: skip
    place = "/api/v1/sources/bucket/object-events"
    with httpx.Client(base_url=open_interfaces.url, trust_env=False, timeout=60) as http:
        sent = http.post(place, json=event, headers={"authorization": f"Bearer {key}"})
        assert (sent.status_code, sent.json()) == (200, {"objects": 1})
        token = {"authorization": f"Bearer {open_interfaces.token(scopes=['documents.write'])}"}
        assert http.post(place, json=event, headers=token).status_code == 200
        assert http.post(place, json=event).status_code == 401
        reader = {"authorization": f"Bearer {open_interfaces.token(scopes=['documents.read'])}"}
        assert http.post(place, json=event, headers=reader).status_code == 403
        refused = http.post(place, json={"hello": "there"}, headers=token)
        assert refused.status_code == 400
        assert refused.json()["details"][0]["reason"] == "VALUE_INVALID"
        assert http.post(place.replace("bucket", "none"), json=event, headers=token).status_code == 404
    with store.engine.begin() as db:
        rows = db.exec_driver_sql("SELECT tenant, source, bucket, object_key FROM rag.object_notices").all()
        db.exec_driver_sql("DELETE FROM rag.sources WHERE name = 'bucket'")
    store.close()
    assert [tuple(row) for row in rows] == [("acme", "bucket", "b", "docs/a b.txt")]
