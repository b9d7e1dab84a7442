"""Who finds which actions on the pages, and whose runs: each role of a tenant, and the platform's own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ragproto.admin.v1 import operations_pb2 as ops
from tests.unit.console.conftest import Platform
from tests.unit.console.test_operations_pages import with_generations
from tests.unit.console.test_pages import opened, with_source

ROLES = {
    "viewer": ["ops.read"],
    "operator": ["ops.read", "ops.write"],
    "admin": ["query.read", "admin"],
    "platform": ["ops.read", "platform.admin"],
}
OF_OPERATORS = {"sources": {"Check", "Sync now", "Pause"}, "pipeline": {"Materialize"}}
OF_THE_PLATFORM = {"index": {"Evaluate g2", "Promote g2", "Roll back to g0", "Retire g2"}}


def actions(app: AppTest) -> set[str]:
    """The actions of the page that can be opened."""
    found = [item.proto.popover for item in app.get("popover")]
    return {item.label for item in found if not item.disabled}


def links(app: AppTest) -> list[str]:
    """Where the buttons of the page lead that are links."""
    return [item.proto.url for item in app.get("link_button")]


@pytest.mark.parametrize("role", ROLES)
def test_each_role_finds_the_actions_that_the_api_would_let_it_do(app: AppTest, platform: Platform, role: str) -> None:
    with_source(platform)
    with_generations(platform)
    platform.gateway.peer.scopes = ROLES[role]
    mine = OF_OPERATORS if role in {"operator", "admin"} else OF_THE_PLATFORM if role == "platform" else {}
    for page in ("sources", "pipeline", "quality", "index"):
        if page == "sources":
            with_source(platform)
        elif page == "index":
            with_generations(platform)
        opened(app, page)
        assert not app.exception
        assert actions(app) == mine.get(page, set()), page


@pytest.mark.parametrize("role", ROLES)
def test_deployments_are_shown_to_the_platform_alone(app: AppTest, platform: Platform, role: str) -> None:
    platform.gateway.peer.scopes = ROLES[role]
    app.run()
    if role == "platform":
        app.switch_page("screens/deployments.py").run()
    else:
        with pytest.raises(ValueError, match=r"screens/deployments\.py"):
            app.switch_page("screens/deployments.py").run()
    asked = {method for method, _ in platform.gateway.peer.asked}
    assert ("ListColours" in asked) == (role == "platform")


def everybodys(platform: Platform) -> None:
    """Dagster with a source of this tenant and one of another, whose documents this tenant also pushes by that name."""
    mine = ops.SourceDetail(name="hand-book", kind="folder", shards=1)
    pushed = ops.SourceDetail(name="secret", kind="push", shards=1)
    platform.gateway.peer.operations["ListSources"] = ops.ListSourcesResponse(sources=[mine, pushed])
    data = platform.data
    for kind, field in (("sensor", "sensorsOrError"), ("backfill", "partitionBackfillsOrError")):
        data[field] = {
            "__typename": "Found",
            "results": [made(platform, kind, group) for group in ("hand_book", "secret")],
        }


def made(platform: Platform, kind: str, group: str) -> dict[str, Any]:
    if kind == "backfill":
        return {"id": group, "status": "COMPLETED", "timestamp": 1.0, "numPartitions": 2,
                "assetSelection": [{"path": [group, "index"]}], "partitionStatusCounts": []}  # fmt: skip
    sensor = copy.deepcopy(platform.data["sensorsOrError"]["results"][0])
    return sensor | {"name": f"{group}_changes", "targets": [{"pipelineName": f"{group}_sync"}]}


@pytest.mark.parametrize("role", ["admin", "platform"])
def test_runs_automations_and_backfills_of_other_tenants_are_for_the_platform(
    app: AppTest, platform: Platform, role: str
) -> None:
    everybodys(platform)
    platform.gateway.peer.scopes = ROLES[role]
    shown = ""
    for page, tab in (
        ("overview", ""),
        ("pipeline", "Runs"),
        ("pipeline", "Sensors and schedules"),
        ("pipeline", "Backfills"),
    ):
        app.session_state["pipeline-tab"] = tab or None
        opened(app, page)
        assert not app.exception
        shown += "\n".join(frame.value.to_string() for frame in app.dataframe)
    asked = [item["variables"]["filter"] for item in platform.asked if "runsOrError" in item["query"]]
    assert asked
    if role == "platform":
        assert "secret_changes" in shown
        assert {} in asked
    else:
        assert "hand_book_changes" in shown
        assert "secret" not in shown
        assert all(chosen["tags"] == [{"key": "rag/tenant", "value": "acme"}] for chosen in asked)


def test_what_is_done_in_dagster_is_put_on_record_with_its_source(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.operations["RecordAction"] = ops.RecordActionResponse(id=1)
    opened(app, "pipeline")
    app.button(key="run-handbook-do").click().run()
    [request] = [request for method, request in platform.gateway.peer.asked if method == "RecordAction"]
    assert (request.action, request.source) == ("dagster.launch", "handbook")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/redirects/traces/{trace}"])
def test_traffic_links_to_the_trace_viewer_for_the_platform_alone_and_where_there_is_one(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch, role: str, url: str
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_TRACE_URL", url)
    platform.gateway.peer.scopes = ROLES[role]
    opened(app, "traffic")
    assert links(app) == (["http://127.0.0.1:9/"] if role == "platform" and url else [])
