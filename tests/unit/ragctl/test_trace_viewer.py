"""The trace viewer of the local stack: how it is installed and started, and what its port refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import build_services
from ragctl.local_stack.trace_viewer.install import environment_of, install, is_installed, viewer_environment
from ragctl.local_stack.trace_viewer.serve import Front


@pytest.fixture(scope="module")
def client() -> TestClient:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("spans")

    app = Starlette(
        routes=[Route("/{path:path}", page, methods=["GET", "POST"])],
        middleware=[Middleware(Front)],
    )
    return TestClient(app, base_url="http://127.0.0.1:4318")


LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
OWN = {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 200),  # a program, such as an exporter
        ("POST", OWN, 200),
        ("GET", LINK, 200),  # from the console
        ("POST", LINK, 403),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
        ("POST", {"origin": "http://evil.example"}, 403),
        ("GET", {"host": "evil.example:4318", "sec-fetch-site": "same-origin"}, 403),
        ("GET", {**LINK, "host": "evil.example:4318"}, 403),
    ],
)
def test_the_viewer_serves_its_own_pages_programs_and_links_alone(
    client: TestClient, method: str, headers: dict[str, str], status: int
) -> None:
    response = client.request(method, "/graphql", headers=headers)
    assert response.status_code == status
    assert ("spans" in response.text) == (status == 200)


def test_the_viewer_is_bounded_and_calls_nobody(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, traces=True, traces_port=4999, traces_days=3, traces_gib=0.5)
    said = viewer_environment(settings, DataDir(tmp_path))
    assert (said["PHOENIX_HOST"], said["PHOENIX_PORT"]) == ("127.0.0.1", "4999")
    assert said["PHOENIX_DEFAULT_RETENTION_POLICY_DAYS"] == "3"
    assert said["PHOENIX_DATABASE_ALLOCATED_STORAGE_CAPACITY_GIBIBYTES"] == "0.5"
    assert said["PHOENIX_DATABASE_USAGE_INSERTION_BLOCKING_THRESHOLD_PERCENTAGE"] == "100"
    assert said["PHOENIX_TELEMETRY_ENABLED"] == said["PHOENIX_ALLOW_EXTERNAL_RESOURCES"] == "false"
    assert said["PHOENIX_ALLOWED_SANDBOX_PROVIDERS"] == "NONE"


def test_the_console_of_a_stack_links_to_its_viewer(tmp_path: Path) -> None:
    for traces, wanted in ((True, "http://127.0.0.1:4999/redirects/traces/{trace}"), (False, "")):
        settings = Settings(home=tmp_path, traces=traces, traces_port=4999)
        services = {one.name: one for one in build_services(settings, DataDir(tmp_path))}
        assert dict(services["console"].env)["RAG_CONSOLE_TRACE_URL"] == wanted
        assert ("traces" in services) == traces


def test_without_a_package_index_the_command_says_where_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = DataDir(tmp_path)
    home.create()
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    other = home.traces / "phoenix-of-another-release"
    other.mkdir(parents=True)
    with pytest.raises(Unavailable, match="rag logs traces") as caught:
        install(home)
    assert caught.value.reason is Reason.TRACES_UNAVAILABLE
    assert not is_installed(home)
    assert not other.exists()
    assert environment_of(home).parent == home.traces
    assert home.log("traces").read_text()
