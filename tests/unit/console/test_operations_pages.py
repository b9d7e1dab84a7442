"""Generations, deployments, quality and alerts on the pages: what is shown and what operators do."""

from __future__ import annotations

import json
import re
import threading
import time

import grpc
import pytest
from pytest_httpserver import HTTPServer
from streamlit.testing.v1 import AppTest
from werkzeug import Request, Response

from console.components.charts import OUTCOME_COLOURS
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import deployments_pb2 as deploy
from ragproto.admin.v1 import operations_pb2 as ops
from tests.support.wire import REQUEST_ID
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import button, opened, with_source


def with_generations(platform: Platform, *, passed: bool = True) -> None:
    ready = admin_pb2.Generation(name="g2", state="ready", points=10, dimensions=4, passed=passed)
    ready.evaluated_at.seconds = 1
    active = admin_pb2.Generation(name="g1", state="active", points=10, dimensions=4, promoted_from="g0")
    platform.gateway.peer.status = admin_pb2.GetStatusResponse(generations=[ready, active])


def asked(platform: Platform, name: str) -> list[object]:
    return [request for method, request in platform.gateway.peer.asked if method == name]


def test_a_build_is_forecast_before_it_can_be_confirmed(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    peer = platform.gateway.peer
    forecast = admin_pb2.BuildForecast(documents=30, chunks=128, to_embed=128, seconds=9, exact=True)
    peer.operations["BuildGeneration"] = admin_pb2.BuildGenerationResponse(generation="g3", forecast=forecast)
    opened(app, "index")
    assert "build-do" not in {item.key for item in app.button}
    app.number_input(key="build-tokens").set_value(150)
    button(app, "Forecast the cost").click().run()
    assert ["30", "128"] in [frame.value["value"].tolist()[:2] for frame in app.dataframe if "value" in frame.value]
    app.text_input(key="build-why").input("smaller chunks")
    app.button(key="build-do").click().run()
    first, second = asked(platform, "BuildGeneration")
    assert (first.dry_run, second.dry_run, second.confirmed) == (True, False, True)  # type: ignore[attr-defined]
    assert second.settings["chunk_tokens"] == "150"  # type: ignore[attr-defined]
    assert second.reason == "smaller chunks"  # type: ignore[attr-defined]


def test_the_foremost_generation_is_evaluated_promoted_rolled_back_and_retired(
    app: AppTest, platform: Platform
) -> None:
    with_generations(platform)
    opened(app, "index")
    app.text_input(key="promote-why").input("better answers")
    for key in ("evaluate", "promote", "rollback", "retire"):
        app.button(key=f"{key}-do").click().run()
        assert not app.exception
    assert [getattr(request, "generation", "") for name in
            ("EvaluateGeneration", "PromoteGeneration", "RollbackGeneration", "RetireGeneration")
            for request in asked(platform, name)] == ["g2", "g2", "", "g2"]  # fmt: skip
    [promoted] = asked(platform, "PromoteGeneration")
    assert (promoted.reason, promoted.override_reason) == ("better answers", "")  # type: ignore[attr-defined]


def test_a_generation_that_the_gate_refused_is_promoted_only_for_a_reason(app: AppTest, platform: Platform) -> None:
    with_generations(platform, passed=False)
    opened(app, "index")
    app.button(key="promote-do").click().run()
    assert asked(platform, "PromoteGeneration") == []
    app.text_input(key="promote-why").input("the golden set is old")
    app.button(key="promote-do").click().run()
    [request] = asked(platform, "PromoteGeneration")
    assert request.override_reason == "the golden set is old"  # type: ignore[attr-defined]


def test_a_generation_kept_for_a_rollback_is_retired_for_a_reason_only(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    kept = platform.gateway.peer.status.generations[0]
    kept.keep_until.seconds = int(time.time()) + 3600
    opened(app, "index")
    assert any("Kept for a rollback until" in item.value for item in app.markdown)
    app.button(key="retire-do").click().run()
    assert asked(platform, "RetireGeneration") == []
    app.text_input(key="retire-why").input("the new one is proved")
    app.button(key="retire-do").click().run()
    [request] = asked(platform, "RetireGeneration")
    assert (request.generation, request.reason) == ("g2", "the new one is proved")  # type: ignore[attr-defined]
    assert request.now  # type: ignore[attr-defined]


def test_a_refusal_of_the_platform_is_shown_where_it_was_asked(app: AppTest, platform: Platform) -> None:
    with_generations(platform)
    opened(app, "index")
    platform.gateway.peer.failure = grpc.StatusCode.FAILED_PRECONDITION
    app.button(key="promote-do").click().run()
    assert not app.exception
    assert "FAILED_PRECONDITION" in " ".join(item.value for item in [*app.error, *app.warning])


def test_a_defect_is_shown_with_the_id_to_report(app: AppTest, platform: Platform) -> None:
    failed = admin_pb2.SourceCondition(
        state=admin_pb2.SOURCE_STATE_FAILED, sentence="failed: {reason}", reason="INTERNAL", run_id="run-7",
        message="the check documents:schema failed (run run-7)", needs_attention=True,
    )  # fmt: skip
    with_source(platform)
    platform.gateway.peer.status.sources[0].condition.CopyFrom(failed)
    opened(app, "sources")
    assert "run-7" in [item.value for item in app.code]
    assert app.get("link_button")[0].proto.url.endswith("/runs/run-7")
    platform.gateway.peer.failure = grpc.StatusCode.INTERNAL
    opened(app, "quality")
    assert REQUEST_ID in [item.value for item in app.code]


def with_deployment(platform: Platform, **changes: object) -> None:
    peer = platform.gateway.peer
    made = deploy.Deployment(id=7, release="v2", colour="green", from_colour="blue", **changes)
    step = deploy.DeploymentStep(step="smoke.golden", passed=True, detail="40 of 40")
    step.figures.update({"p95": 0.021})
    peer.operations |= {
        "ListColours": deploy.ListColoursResponse(colours=[deploy.Colour(name="green", target="local", weight=10)]),
        "ListDeployments": deploy.ListDeploymentsResponse(deployments=[made]),
        "GetDeployment": deploy.GetDeploymentResponse(deployment=made, history=[step]),
    }


def test_a_deployment_is_switched_and_rolled_back_for_a_reason_only(app: AppTest, platform: Platform) -> None:
    with_deployment(platform, state=deploy.DEPLOYMENT_STATE_READY, can_switch=True, can_roll_back=True)
    opened(app, "deployments")
    assert "No deployer is running" in app.warning[0].value
    assert app.dataframe[-1].value["figures"].tolist() == ["p95 0.021"]
    app.button(key="switch-do").click().run()
    assert asked(platform, "RequestSwitch") == []
    for key, name in (("switch", "RequestSwitch"), ("roll-back", "RequestRollback")):
        app.text_input(key=f"{key}-why").input("because")
        app.button(key=f"{key}-do").click().run()
        [request] = asked(platform, name)
        assert (request.id, request.reason) == (7, "because")  # type: ignore[attr-defined]


def test_pipelines_and_environments_of_gitlab_are_shown_when_it_is_configured(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    project = "/api/v4/projects/team/rag"  # as it is decoded
    pipeline = {"id": 41, "status": "success", "ref": "main", "sha": "0123456789", "web_url": "http://gitlab/41",
                "updated_at": "2026-01-02T03:04:05.000Z"}  # fmt: skip
    last = {"ref": "v2", "sha": "abcdef0123", "created_at": "2026-01-02T03:04:05Z"}
    environment = {"name": "production", "state": "available", "last_deployment": last}
    header = {"private-token": "glpat"}
    httpserver.expect_request(f"{project}/pipelines", headers=header).respond_with_data(json.dumps([pipeline]))
    httpserver.expect_request(f"{project}/environments", headers=header).respond_with_data(json.dumps([environment]))
    platform.token_file.with_name("gitlab").write_text("glpat\n")
    for name, value in {"URL": httpserver.url_for(""), "PROJECT": "team/rag",
                        "TOKEN_FILE": str(platform.token_file.with_name("gitlab"))}.items():  # fmt: skip
        monkeypatch.setenv(f"RAG_CONSOLE_GITLAB_{name}", value)
    opened(app, "deployments")
    assert [frame.value.iloc[0].get("commit", frame.value.iloc[0].get("deployed")) for frame in app.dataframe] == [
        "01234567", "v2 abcdef01",
    ]  # fmt: skip
    httpserver.clear()
    httpserver.expect_request(re.compile(f"{project}/.*")).respond_with_json({"message": "401"}, status=401)
    app.run()
    assert "GitLab refused the request: GITLAB_REFUSED." in [item.value for item in app.warning]


def test_runs_of_jobs_are_no_sources_and_the_mark_of_a_failed_one_is_seen_on_a_dark_page(
    app: AppTest, platform: Platform
) -> None:
    [run] = platform.data["runsOrError"]["results"]
    failed = {**run, "status": "FAILURE", "startTime": time.time() - 60, "endTime": time.time()}
    job = {**failed, "jobName": "maintenance", "status": "SUCCESS", "assetSelection": []}
    platform.data["runsOrError"]["results"] = [failed, job]
    opened(app, "overview")
    assert "2 runs: 1 sources, 1 other jobs, 1 failed" in [item.value for item in app.caption]
    layers = json.loads(app.get("vega_lite_chart")[0].proto.spec)["layer"]
    [mark] = [layer["mark"] for layer in layers if layer["mark"]["type"] == "text"]
    assert mark["color"] == OUTCOME_COLOURS["failed"]


def test_alerts_and_a_missed_objective_stand_on_the_overview(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    source = platform.gateway.peer.status.sources[0]
    source.last_complete_at.seconds, source.freshness_minutes = 1_700_000_000, 60
    alert = ops.Alert(kind="poison_rate", severity="critical", source="handbook", summary="too many failed")
    platform.gateway.peer.operations["ListAlerts"] = ops.ListAlertsResponse(alerts=[alert])
    app.run()
    frames = [frame.value for frame in app.dataframe]
    assert any("too many failed" in frame.get("summary", []).tolist() for frame in frames if "summary" in frame)
    assert any(frame["met"].tolist() == ["✖ missed"] for frame in frames if "met" in frame)


def test_the_score_of_a_source_is_drawn_with_its_failing_rules(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    result = ops.QualityResult(
        run_id="r", score=81, documents=4, languages={"en": 4}, warnings={"duplicate_ratio": 0.5}
    )
    result.finished_at.seconds = 1_700_000_000
    finding = ops.RuleFinding(rule="mojibake", found=3, samples=["a.md"])
    platform.gateway.peer.operations["ListQuality"] = ops.ListQualityResponse(results=[result], findings=[finding])
    opened(app, "quality")
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 4
    frames = [frame.value for frame in app.dataframe]
    assert any(frame["samples"].tolist() == ["a.md"] for frame in frames if "samples" in frame)
    assert any(
        frame["rule"].tolist() == ["duplicate_ratio"] for frame in frames if "value" in frame and "rule" in frame
    )


@pytest.mark.parametrize(
    ("field", "tab"),
    [
        ("runsOrError", "Runs"),
        ("sensorsOrError", "Sensors and schedules"),
        ("partitionBackfillsOrError", "Backfills"),
    ],
)
def test_what_dagster_cannot_list_is_an_error_and_not_an_empty_list(
    app: AppTest, platform: Platform, field: str, tab: str
) -> None:
    platform.data[field] = {"__typename": "PythonError", "message": "the storage is away\n  at line 1"}
    opened(app, "pipeline")
    app.session_state["pipeline-tab"] = tab
    app.run()
    assert "the storage is away" in [item.value for item in app.text]
    assert not app.exception


def test_sensors_and_backfills_are_asked_for_only_while_their_tab_is_open(app: AppTest, platform: Platform) -> None:
    def fields_asked() -> set[str]:
        fields = ("runsOrError", "sensorsOrError", "partitionBackfillsOrError")
        found = {field for field in fields for item in platform.asked if field in item["query"]}
        platform.asked.clear()
        return found

    app.run()
    platform.asked.clear()
    app.switch_page("screens/pipeline.py").run()
    assert fields_asked() == {"runsOrError"}
    app.session_state["pipeline-tab"] = "Backfills"
    app.run()
    assert fields_asked() == {"partitionBackfillsOrError"}


def test_the_overview_asks_the_services_at_the_same_time(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_CALL_SECONDS", "60")  # longer than the two wait for each other
    both = threading.Barrier(2, timeout=20)

    def history(_: object) -> ops.ListSourceHistoryResponse:
        both.wait()
        return ops.ListSourceHistoryResponse()

    def dagster(request: Request) -> Response:
        if "runsOrError" in request.get_json()["query"]:
            both.wait()
        return Response(json.dumps({"data": platform.data}), content_type="application/json")

    platform.gateway.peer.operations["ListSourceHistory"] = history
    platform.dagster.clear()
    platform.dagster.expect_request("/metrics").respond_with_data("")
    platform.dagster.expect_request("/graphql").respond_with_handler(dagster)
    app.run(timeout=60)
    assert not both.broken
