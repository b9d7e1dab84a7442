"""Releases that the configuration of a target wants, on a real database and a target in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.governance.audit import Deployment, DeploymentState
from rag_core.governance.audit import deployment_store as deployments
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.rollout.analysis import Poll
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.releases import serve_wanted, start_wanted
from ragctl.rollout.service import DeployRequest
from ragctl.rollout.targets.base import ColourTraffic, Server
from tests.support.deploys import DeployHarness
from tests.support.waiting import run_together

SLOW = AnalysisResult.bad(Reason.GREEN_SLOW, "p95 3000 ms")


def want(bench: DeployHarness, name: str, **more: str) -> None:
    bench.target.chart = Release(name, environment=more)


def rows(bench: DeployHarness) -> list[Deployment]:
    with bench.store.engine.connect() as connection:
        return deployments.page(connection, 20)


def test_the_first_installation_serves_at_once(bench: DeployHarness) -> None:
    bench.target.running.clear()
    want(bench, "r1")
    row = start_wanted(bench.deployments())
    assert row is not None
    assert (row.state, row.colour, row.weight) == (DeploymentState.DONE, "blue", 100)
    assert (bench.target.running, bench.target.green) == ({"blue": Release("r1")}, 0)


def test_three_tags_and_a_return_are_each_judged_beside_what_serves(bench: DeployHarness) -> None:
    want(bench, "r1")
    for name, colour in (("r1", "green"), ("r2", "blue"), ("r3", "green"), ("r2", "blue")):
        want(bench, name)
        row = serve_wanted(bench.deployments())
        assert (row.state, row.release, row.colour, row.weight) == (DeploymentState.DONE, name, colour, 100)
        assert bench.target.running[colour] == Release(name)
    assert bench.target.weights == [10, 50, 100, 90, 50, 0, 10, 50, 100, 90, 50, 0]


def test_what_is_wanted_is_taken_once_however_often_it_is_asked(bench: DeployHarness) -> None:
    want(bench, "r2")
    assert start_wanted(bench.deployments()) is not None
    assert start_wanted(bench.deployments()) is None
    assert serve_wanted(bench.deployments()).id == rows(bench)[0].id
    assert len(rows(bench)) == 1


def test_another_setting_of_the_same_release_is_another_release(bench: DeployHarness) -> None:
    want(bench, "r2")
    start_wanted(bench.deployments())
    want(bench, "r2", RAG_DEFAULT_TOP_K="20")
    row = start_wanted(bench.deployments())
    assert row is not None
    assert (row.state, row.colour) == (DeploymentState.DONE, "blue")


def test_a_refused_release_leaves_what_serves_and_is_judged_again_by_the_next_upgrade_only(
    bench: DeployHarness,
) -> None:
    bench.analyser.smoke_test = SLOW
    want(bench, "r2")
    refused = serve_wanted(bench.deployments())
    assert (refused.state, refused.reason, bench.target.running) == (
        DeploymentState.REFUSED, "GREEN_SLOW", {"blue": Release(FIRST_RELEASE)})  # fmt: skip
    assert start_wanted(bench.deployments()) is None
    assert serve_wanted(bench.deployments()).state is DeploymentState.REFUSED
    assert [row.state for row in rows(bench)] == [DeploymentState.REFUSED, DeploymentState.REFUSED]
    bench.analyser.smoke_test = AnalysisResult.good()
    assert serve_wanted(bench.deployments()).state is DeploymentState.DONE


def test_a_return_to_what_serves_after_a_refusal_moves_nothing(bench: DeployHarness) -> None:
    want(bench, "r1")
    serve_wanted(bench.deployments())
    bench.analyser.smoke_test = SLOW
    want(bench, "r2")
    serve_wanted(bench.deployments())
    bench.target.weights.clear()
    want(bench, "r1")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.colour, bench.target.weights) == (DeploymentState.DONE, "green", [])


def test_a_repeated_upgrade_does_not_undo_the_rollback_of_an_operator(bench: DeployHarness) -> None:
    want(bench, "r2")
    serve_wanted(bench.deployments())
    bench.deployments().roll_back("rag:ann", "answers lack citations")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.reason, bench.target.green) == (DeploymentState.ROLLED_BACK, "ROLLBACK_REQUESTED", 0)
    want(bench, "r3")
    assert serve_wanted(bench.deployments()).state is DeploymentState.DONE


def test_a_release_that_an_operator_deployed_by_hand_stays_until_the_chart_wants_another_one(
    bench: DeployHarness,
) -> None:
    want(bench, "r2")
    serve_wanted(bench.deployments())
    bench.deployments().up(DeployRequest(Release("hotfix"), "rag:ann"))
    bench.deployments().switch("rag:ann")
    assert start_wanted(bench.deployments()) is None
    assert bench.target.running["blue"] == Release("hotfix")


def test_an_installation_whose_servers_do_not_become_ready_is_not_reported_as_done(bench: DeployHarness) -> None:
    bench.target.running.clear()
    bench.target.broken = {"r1"}
    want(bench, "r1")
    with pytest.raises(Conflict, match=r"CANDIDATE_UNHEALTHY.*blue is not ready: it is not ready"):
        serve_wanted(bench.deployments())


def test_two_processes_that_follow_deploy_once(bench: DeployHarness) -> None:
    want(bench, "r2")
    found: list[Deployment] = []
    run_together(threading.Thread(target=lambda: found.append(serve_wanted(bench.deployments()))) for _ in range(2))
    assert [row.state for row in found] == [DeploymentState.DONE, DeploymentState.DONE]
    assert len(rows(bench)) == 1


@pytest.mark.parametrize(
    ("counted", "message"),
    [
        ([ColourTraffic(), ColourTraffic(40, 30)], "the gateway counted 30 failures of 40 requests to this colour"),
        ([ColourTraffic(), ColourTraffic(7, 0)], "none of 7 requests of the gateway reached its servers"),
    ],
)
def test_nobody_called_is_not_believed_when_the_gateway_counted_calls(
    bench: DeployHarness, counted: list[ColourTraffic], message: str
) -> None:
    bench.analyser.calls = 0
    bench.target.counted = counted
    want(bench, "r2")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.reason, row.detail) == (DeploymentState.ROLLED_BACK, "CANDIDATE_UNHEALTHY", message)
    assert bench.target.weights == [10, 0]


def test_a_gateway_that_is_late_is_held_to_what_it_counts_from_its_first_reading(bench: DeployHarness) -> None:
    bench.analyser.calls = 0
    bench.target.counted = [None, ColourTraffic(7, 0)]
    want(bench, "r2")
    assert serve_wanted(bench.deployments()).state is DeploymentState.DONE


def test_calls_of_the_release_before_that_end_while_nobody_calls_are_not_held_against_the_new_one(
    bench: DeployHarness,
) -> None:
    bench.analyser.calls = 0
    bench.target.counted = [ColourTraffic(5, 0, active=2), ColourTraffic(7, 0)]  # at servers that the new ones replaced
    want(bench, "r2")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.detail) == (DeploymentState.DONE, "")


@dataclass
class OneCall:
    """All that a small installation is asked in a while: one call, which ends after the given reading of a counter."""

    after: int
    readings: int = 0

    def counted(self) -> int:
        self.readings += 1
        return int(self.readings > self.after)

    def watch(self, servers: Callable[[], Sequence[Server]]) -> Poll:
        before: list[int] = []

        def observe(final: bool) -> AnalysisResult | None:
            before.append(self.counted())
            return AnalysisResult.good(calls=before[-1] - before[0]) if final else None

        return observe


@pytest.mark.parametrize("after", range(1, 7))
def test_a_call_that_ends_between_two_readings_is_no_call_that_no_server_saw(bench: DeployHarness, after: int) -> None:
    call = OneCall(after)
    bench.analyser.watch = call.watch  # type: ignore[method-assign]
    bench.target.traffic = lambda colour: {"gateway": ColourTraffic(call.counted(), 0)}  # type: ignore[method-assign]
    want(bench, "r2")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.detail) == (DeploymentState.DONE, "")


def test_what_serves_can_be_put_to_the_smoke_suite_at_any_time(bench: DeployHarness) -> None:
    assert [(name, verdict.passed) for name, verdict in bench.deployments().check()] == [("smoke.golden", True)]
    bench.analyser.smoke_test = SLOW
    assert [verdict.reason for _, verdict in bench.deployments().check()] == ["GREEN_SLOW"]


def test_a_missing_credential_of_the_smoke_suite_refuses_the_release(bench: DeployHarness) -> None:
    def missing() -> AnalysisResult:
        raise ConfigError(Reason.SECRET_MISSING, "RAG_DEPLOY_CREDENTIAL: is not set")

    bench.analyser.check = missing
    want(bench, "r2")
    row = serve_wanted(bench.deployments())
    assert (row.state, row.reason) == (DeploymentState.REFUSED, "SECRET_MISSING")
