"""The description of the REST API: valid, complete, and true of the real gateway, which schemathesis calls by it."""

from __future__ import annotations

import json
import os
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

from interfaces.openapi.routes import DESCRIPTION
from interfaces.settings import InterfacesSettings
from ragctl.gateway.api import api_methods
from tests.support.interfaces import OpenInterfaces, running_interfaces
from tests.support.wire import gateway_options

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
