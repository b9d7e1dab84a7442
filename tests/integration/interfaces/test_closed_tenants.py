"""What a suspended tenant gets of the open interfaces: the same refusal at every route that takes credentials."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.routing import Route

from interfaces.server import build_app
from interfaces.settings import InterfacesSettings
from rag_core.governance.tenants import store as tenants
from tests.support.interfaces import OpenInterfaces
from tests.support.waiting import eventually

_CHAT = {"model": "extractive", "messages": [{"role": "user", "content": "x"}]}
_BODIES: dict[str, Any] = {
    "/v1/chat/completions": _CHAT,
    "/v1/vector_stores/{store}/search": {"query": "x"},
    "/v1/vector_stores/{store}/files": {"file_id": "{file}"},
}
_METHODS = ("initialize", "ping", "tools/list", "resources/list", "resources/templates/list", "tools/call")


def _routes() -> list[tuple[str, str]]:
    routes = [route for route in build_app(InterfacesSettings()).routes if isinstance(route, Route)]
    found = [(method, one.path) for one in routes if one.path.startswith("/v1/") for method in one.methods or ()]
    return sorted(pair for pair in found if pair[0] != "HEAD")


@pytest.fixture(scope="module")
def suspended(open_interfaces: OpenInterfaces) -> tuple[OpenInterfaces, dict[str, str], str]:
    """The service, the token of a tenant that was suspended, and the file that it had uploaded before."""
    with open_interfaces.database() as connection:
        tenants.create(connection, "closing", actor="op")
    token = {"authorization": f"Bearer {open_interfaces.token(tenant='closing')}"}
    sent = httpx.post(
        f"{open_interfaces.url}/v1/files", headers=token, data={"purpose": "assistants"},
        files={"file": ("names of a reorganisation.md", b"x")}, trust_env=False, timeout=60,
    )  # fmt: skip
    with open_interfaces.database() as connection:
        tenants.suspend(connection, "closing", actor="op")
    models = f"{open_interfaces.url}/v1/models"
    assert eventually(lambda: httpx.get(models, headers=token, trust_env=False, timeout=60).status_code == 403)
    return open_interfaces, token, sent.json()["id"]


@pytest.mark.parametrize(("method", "path"), _routes(), ids=lambda part: part)
def test_a_suspended_tenant_reads_nothing_by_any_route(
    suspended: tuple[OpenInterfaces, dict[str, str], str], method: str, path: str
) -> None:
    found, token, file_id = suspended
    body = _BODIES.get(path) if method == "POST" else None
    filled = path.format(store="handbook", file=file_id, model="extractive")
    content = {"json": {**body, **({"file_id": file_id} if "file_id" in body else {})}} if body else {}
    answer = httpx.request(method, found.url + filled, headers=token, trust_env=False, timeout=60, **content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "TENANT_SUSPENDED")
    assert "reorganisation" not in answer.text


@pytest.mark.parametrize("method", _METHODS)
def test_a_suspended_tenant_reads_nothing_by_mcp(
    suspended: tuple[OpenInterfaces, dict[str, str], str], method: str
) -> None:
    found, token, _ = suspended
    answer = httpx.post(
        f"{found.url}/mcp", headers={**token, "accept": "application/json, text/event-stream"},
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}, trust_env=False, timeout=60,
    )  # fmt: skip
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (403, "TENANT_SUSPENDED")
