"""The documentation as Markdown and the events of buckets, through the real gateway. The description of the REST API:
valid, complete, and true of the real gateway, which schemathesis calls by it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from interfaces.documentation import FOLDER
from interfaces.openapi.routes import DESCRIPTION
from interfaces.settings import InterfacesSettings
from rag_core.database import open_store
from rag_core.governance.access import NewKey, create_key
from rag_core.settings import Settings
from ragctl.gateway.api import api_methods
from tests.support.interfaces import OpenInterfaces, running_interfaces
from tests.support.names import ROOT
from tests.support.wire import gateway_options


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


SPEC: dict[str, Any] = json.loads(DESCRIPTION.read_text("utf-8"))
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
)
CALLS = int(os.environ.get("RAG_TEST_OPENAPI_CALLS", "6"))
"""Of each operation, with data that fits the description and data that does not; each is repeated without credentials
and with wrong ones. Set the variable for a longer search."""
SCHEMA = schemathesis.openapi.from_dict(SPEC)


def test_the_description_is_valid() -> None:
    assert SPEC["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(SPEC).validate()


def test_it_names_every_rest_path_of_the_gateway_and_no_other() -> None:
    served = {
        (binding.verb.lower(), binding.path)
        for method in api_methods(gateway_options().descriptors)
        for binding in method.rest
    }
    described = {(verb, path) for path, operations in SPEC["paths"].items() for verb in operations}
    assert described == served | {("get", "/health"), ("get", "/ready")}


def test_it_is_public_and_the_page_that_shows_it_fetches_nothing_from_elsewhere(
    open_interfaces: OpenInterfaces,
) -> None:
    with httpx.Client(base_url=open_interfaces.url, trust_env=False, timeout=60) as http:
        assert http.get("/openapi.json").json() == SPEC
        assert http.get("/docs").status_code == 404, "only where it is asked for"
    with (
        running_interfaces(open_interfaces.server, browser_docs=True) as local,
        httpx.Client(base_url=local.url, trust_env=False, timeout=60) as http,
    ):
        page = http.get("/docs")
        assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
        assert "//" not in page.text.replace("<!doctype", "")
        for name in ("start.js", "swagger-ui-bundle.js", "swagger-ui.css"):
            assert http.get(f"/docs/{name}").status_code == 200


def test_the_page_is_off_unless_it_is_asked_for() -> None:
    assert InterfacesSettings().browser_docs is False


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=CALLS,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_the_gateway_does_what_the_description_says(case: schemathesis.Case, open_interfaces: OpenInterfaces) -> None:
    headers = {"authorization": f"Bearer {open_interfaces.token()}"}
    answer = case.call(base_url=open_interfaces.url, headers=headers, timeout=20)
    case.validate_response(answer, checks=list(CHECKS), headers=headers)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/start.js"])
def test_reading_needs_no_token_and_writing_is_refused(open_interfaces: OpenInterfaces, path: str) -> None:
    answer = httpx.post(f"{open_interfaces.url}{path}", content=b"{}", trust_env=False, timeout=60)
    assert answer.status_code in {404, 405}


def test_a_header_whose_name_grpc_does_not_allow_is_left_out(open_interfaces: OpenInterfaces) -> None:
    """A query server ended such a call as an internal error."""
    headers = {"authorization": f"Bearer {open_interfaces.token()}", "a|b^c": "x"}
    answer = httpx.get(f"{open_interfaces.url}/api/v2/answerers", headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200
