"""What calls, metrics and the command line say of a release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from pytest_httpserver import HTTPServer

from query_server.runtime.metrics import Metrics
from rag_core.errors import ConfigError
from rag_core.settings import Settings
from ragctl.gateway.colours import Release, colour_ports
from ragctl.rollout.calls import TimedCall
from ragctl.rollout.metrics import SILENT_POLLS, MetricsPoller
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.releases import make_release
from ragctl.rollout.smoke import analyse_calls
from ragctl.rollout.targets.base import Server

METHOD = "/ragproto.query.v2.QueryService/Search"
SETTINGS = Settings(deploy_latency_seconds=0.5)


def count(metrics: Metrics, calls: int, *, code: str = "OK", seconds: float = 0.02, method: str = METHOD) -> None:
    for _ in range(calls):
        metrics.requests.labels(method, code, "").inc()
        metrics.seconds.labels(method).observe(seconds)


@contextmanager
def serving(metrics: Metrics) -> Iterator[Server]:
    """The real metrics page of a query server."""
    with HTTPServer(host="127.0.0.1") as http:
        http.expect_request("/metrics").respond_with_handler(lambda _: _page(metrics))
        yield Server("", http.url_for("").rstrip("/"))


def _page(metrics: Metrics) -> object:
    from werkzeug import Response

    return Response(generate_latest(metrics.registry))


def reason_of(metrics: Metrics, *happened: dict[str, object]) -> tuple[str, str]:
    """The verdict on what happened between the first look and the last."""
    with serving(metrics) as server:
        watch = MetricsPoller(SETTINGS, lambda: [server])
        assert watch.poll(False) is None
        for item in happened:
            count(metrics, **item)  # type: ignore[arg-type]
        result = watch.poll(True)
    assert result is not None
    return result.reason, result.detail


def test_only_what_happens_while_it_is_watched_counts_and_only_faults_of_the_server() -> None:
    metrics = Metrics()
    count(metrics, 100, code="INTERNAL", seconds=9)
    reason, detail = reason_of(
        metrics,
        {"calls": 95},
        {"calls": 50, "code": "INVALID_ARGUMENT"},
        {"calls": 5, "code": "INTERNAL"},
        {"calls": 500, "code": "INTERNAL", "method": "/ragproto.admin.v1.AdminService/GetStatus"},
    )
    assert (reason, detail) == ("", "96.7 % of 150 calls succeeded, p95 24 ms")


@pytest.mark.catalogue("F40")
@pytest.mark.parametrize(
    ("happened", "reason"),
    [
        ({"calls": 30, "code": "UNAVAILABLE"}, "GREEN_FAILING"),
        ({"calls": 30, "seconds": 2.0}, "GREEN_SLOW"),
        ({"calls": 30, "seconds": 99.0}, "GREEN_SLOW"),
        ({"calls": 30, "seconds": 9.0, "method": METHOD.replace("Search", "Answer")}, ""),  # the time of a model
        ({"calls": 0}, ""),
    ],
)
def test_errors_and_latency_above_the_objective_are_failures(happened: dict[str, object], reason: str) -> None:
    assert reason_of(Metrics(), happened)[0] == reason


@pytest.mark.catalogue("F40")
def test_a_failing_release_is_found_out_before_the_time_is_over() -> None:
    metrics = Metrics()
    with serving(metrics) as server:
        watch = MetricsPoller(SETTINGS, lambda: [server])
        watch.poll(False)
        count(metrics, 19, code="INTERNAL")
        assert watch.poll(False) is None  # too few calls to tell
        count(metrics, 1, code="INTERNAL")
        result = watch.poll(False)
    assert result is not None
    assert result.reason == "GREEN_FAILING"


@pytest.mark.catalogue("F40")
def test_no_metrics_is_a_failure_and_a_restarted_server_too() -> None:
    gone = MetricsPoller(SETTINGS, lambda: [Server("", "http://127.0.0.1:9")])
    looks = [gone.poll(False) for _ in range(SILENT_POLLS)]
    assert looks[:-1] == [None] * (SILENT_POLLS - 1)
    assert isinstance(looks[-1], AnalysisResult)
    assert looks[-1].reason == "GREEN_SILENT"
    nobody = MetricsPoller(SETTINGS, list).poll(True)
    assert nobody is not None
    assert nobody.reason == "GREEN_SILENT"
    with HTTPServer(host="127.0.0.1") as http:
        before, after = Metrics(), Metrics()
        count(before, 50)
        for page in (before, after):
            http.expect_ordered_request("/metrics").respond_with_data(generate_latest(page.registry).decode())
        watch = MetricsPoller(SETTINGS, lambda: [Server("", http.url_for("").rstrip("/"))])
        watch.poll(False)
        result = watch.poll(True)
    assert result is not None
    assert result.reason == "CANDIDATE_UNHEALTHY"


def test_a_burst_needs_95_per_cent_of_its_calls_and_the_latency_objective() -> None:
    good, slow, failed = TimedCall(0.01), TimedCall(1.0), TimedCall(0.01, "UNAVAILABLE")
    assert analyse_calls(SETTINGS, [good] * 95 + [failed] * 5).passed
    assert analyse_calls(SETTINGS, [good] * 94 + [failed] * 6).reason == "GREEN_FAILING"
    assert analyse_calls(SETTINGS, [good] * 90 + [slow] * 10).reason == "GREEN_SLOW"


def test_a_release_is_an_interpreter_and_settings_that_are_no_secrets(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    made = make_release("local", "2.4", python=str(python), assignments=["RAG_DEFAULT_TOP_K=5"], image=None)
    assert made == Release("2.4", str(python), {"RAG_DEFAULT_TOP_K": "5"})
    image = "registry.example/query@sha256:" + "0" * 64
    assert make_release("kubernetes", "2.4", python=None, assignments=[], image=image).image == image


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "a b"}, "USAGE"),
        ({"name": "installed"}, "USAGE"),
        ({"python": "/nowhere/python"}, "USAGE"),
        ({"assignments": ["PATH=/tmp"]}, "USAGE"),
        ({"assignments": ["RAG_QUERY_PORT=1"]}, "USAGE"),
        ({"assignments": ["RAG_NOT_THERE=1"]}, "USAGE"),
        ({"assignments": ["RAG_DATABASE_URL=postgresql://u:p@h/d"]}, "SECRET_INLINE_FORBIDDEN"),
        ({"image": "registry/query@sha256:" + "0" * 64}, "USAGE"),
        ({"target": "kubernetes", "image": "registry/query:latest"}, "USAGE"),
        ({"target": "kubernetes"}, "USAGE"),
    ],
)
def test_what_is_no_release_is_refused(given: dict[str, object], reason: str) -> None:
    wanted = {"target": "local", "name": "2.4", "python": None, "assignments": [], "image": None} | given
    with pytest.raises(ConfigError, match=reason):
        make_release(wanted.pop("target"), wanted.pop("name"), **wanted)  # type: ignore[arg-type]


def test_green_has_ports_of_its_own_for_each_replica() -> None:
    two = Settings(query_port=21051, metrics_port=21464, replicas=2)
    assert colour_ports(two, "green") == [(21151, 21564), (21161, 21574)]
    named = two.model_copy(update={"green_ports": "1/2,3/4"})
    assert colour_ports(named, "green") == [(1, 2), (3, 4)]
    with pytest.raises(ConfigError, match="RAG_GREEN_PORTS"):
        colour_ports(two.model_copy(update={"green_ports": "1/2"}), "green")


@pytest.mark.parametrize("steps", ["", "0,100", "50,10,100", "10,50", "10,10,100", "10,x,100"])
def test_steps_rise_to_all_the_traffic(steps: str) -> None:
    with pytest.raises(ValueError, match="rising numbers"):
        Settings(deploy_steps=steps)
