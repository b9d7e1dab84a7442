"""Deployments from state to state, on a real database and a target in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rag_core import failpoints
from rag_core.database import locks
from rag_core.errors import Conflict, Reason
from rag_core.governance.audit import ROLLBACK, SWITCH, Deployment, DeploymentState
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import deployment_store as deployments
from ragctl.gateway.colours import FIRST_RELEASE, Release
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.service import DeployRequest
from ragctl.rollout.targets.base import Health
from tests.support.deploys import DeployHarness

WANTED = DeployRequest(Release("r2"), "rag:ann", "new model")
SLOW = AnalysisResult.bad(Reason.GREEN_SLOW, "p95 3000 ms")


def steps_of(bench: DeployHarness, row: Deployment) -> list[str]:
    with bench.store.engine.connect() as connection:
        return [step.step for step in deployments.history(connection, row.id)]


def actions(bench: DeployHarness) -> list[str]:
    with bench.store.engine.connect() as connection:
        return [entry.action for entry in reversed(audit.find(connection, audit.AuditQuery(action_start="deploy.")))]


@pytest.mark.catalogue("F39")
def test_a_good_release_is_judged_then_gets_the_traffic_in_steps(bench: DeployHarness) -> None:
    known = bench.deployments()
    ready = known.up(WANTED)
    assert (ready.state, ready.colour, bench.target.weights) == (DeploymentState.READY, "green", [])
    done = known.switch("rag:ann")
    assert (done.state, done.weight, bench.target.weights) == (DeploymentState.DONE, 100, [10, 50, 100])
    assert steps_of(bench, done) == ["prepare", "healthy", "smoke.golden", "smoke", *["shift", "watch"] * 3]
    assert actions(bench) == ["deploy.up", "deploy.switch", "deploy.done"]
    assert bench.target.release("blue") == Release(FIRST_RELEASE)


@pytest.mark.catalogue("F40")
@pytest.mark.parametrize(
    ("broken", "smoke", "reason"),
    [
        ({"r2"}, AnalysisResult.good(), "CANDIDATE_UNHEALTHY"),
        (set(), AnalysisResult.bad(Reason.GREEN_WRONG, "worse"), "GREEN_WRONG"),
    ],
)
def test_a_bad_release_is_refused_before_it_has_traffic(
    bench: DeployHarness, broken: set[str], smoke: AnalysisResult, reason: str
) -> None:
    bench.target.broken, bench.analyser.smoke_test = broken, smoke
    row = bench.deployments().up(WANTED)
    assert (row.state, row.reason, bench.target.weights) == (DeploymentState.REFUSED, reason, [])
    assert bench.target.running == {"blue": Release(FIRST_RELEASE)}
    with pytest.raises(Conflict, match="DEPLOYMENT_STATE"):
        bench.deployments().switch("rag:ann")


@pytest.mark.catalogue("F40")
def test_a_release_that_ends_at_every_start_is_not_waited_for(bench: DeployHarness) -> None:
    bench.target.dying = {"r2"}
    patient = bench.settings.model_copy(update={"deploy_ready_seconds": 3600, "deploy_failing_seconds": 0.3})
    row = replace(bench, settings=patient).deployments().up(WANTED)
    assert (row.state, row.reason) == (DeploymentState.REFUSED, "CANDIDATE_UNHEALTHY")
    assert row.detail == "its servers end at every start: exit status 1"


@pytest.mark.catalogue("F40")
def test_a_release_that_turns_bad_under_traffic_goes_back_by_itself(bench: DeployHarness) -> None:
    bench.analyser.bad_at = {50: SLOW}
    known = bench.deployments()
    known.up(WANTED)
    row = known.switch("rag:ann")
    assert (row.state, row.reason, bench.target.weights) == (DeploymentState.ROLLED_BACK, "GREEN_SLOW", [10, 50, 0])


@pytest.mark.catalogue("F41")
def test_release_and_generation_are_promoted_and_rolled_back_together(bench: DeployHarness) -> None:
    known = bench.deployments()
    known.up(replace(WANTED, generation="g2"))
    assert known.switch("rag:ann").state is DeploymentState.DONE
    assert (bench.target.green, bench.generations.now) == (100, "g2")
    back = known.roll_back("rag:bob", "users complain")
    assert (back.state, back.reason, back.detail) == (
        DeploymentState.ROLLED_BACK,
        "ROLLBACK_REQUESTED",
        "users complain",
    )
    assert (bench.target.green, bench.generations.now) == (0, "g1")


def test_a_generation_that_the_gate_refuses_takes_its_release_back(bench: DeployHarness) -> None:
    bench.generations.refused = {"g2"}
    known = bench.deployments()
    known.up(replace(WANTED, generation="g2"))
    row = known.switch("rag:ann")
    assert (row.state, row.reason) == (DeploymentState.ROLLED_BACK, "GENERATION_REFUSED")
    assert (bench.target.green, bench.generations.now) == (0, "g1")


def test_a_generation_that_cannot_go_back_any_more_does_not_hold_its_release(bench: DeployHarness) -> None:
    known = bench.deployments()
    known.up(replace(WANTED, generation="g2"))
    known.switch("rag:ann")
    bench.generations.refused = {"g1"}
    back = known.roll_back("rag:bob")
    assert (back.state, bench.target.green, bench.generations.now) == (DeploymentState.ROLLED_BACK, 0, "g2")
    with bench.store.engine.connect() as connection:
        last = deployments.history(connection, back.id)[-1]
    assert (last.passed, last.reason) == (False, "GENERATION_STATE")


def test_colours_take_turns_and_the_old_one_is_retired_after_its_grace_period(bench: DeployHarness) -> None:
    known = bench.deployments()
    known.up(WANTED)
    known.switch("rag:ann")
    known.maintain()
    assert bench.target.running.keys() == {"blue", "green"}
    assert known.up(replace(WANTED, release=Release("r3"))).colour == "blue"
    hasty = replace(bench, settings=bench.settings.model_copy(update={"deploy_grace_seconds": 0.0})).deployments()
    assert hasty.switch("rag:ann").from_colour == "green"
    hasty.maintain()
    assert bench.target.running == {"blue": Release("r3")}
    with bench.store.engine.connect() as connection:
        seen = [(one.name, one.release, one.weight) for one in deployments.load_colours(connection)]
    assert seen == [("blue", "r3", 100), ("green", "", 0)]
    with pytest.raises(Conflict, match="DEPLOYMENT_STATE"):
        hasty.roll_back("rag:ann")


def test_one_process_at_a_time_and_one_deployment_at_a_time(bench: DeployHarness) -> None:
    known = bench.deployments()
    with (
        locks.deployer_connection(bench.store, "local", wait=1),
        pytest.raises(Conflict, match="DEPLOYMENT_BUSY"),
    ):
        known.up(WANTED)
    first = known.up(WANTED)
    assert known.resume() is None
    second = known.up(replace(WANTED, release=Release("r3")))
    with bench.store.engine.connect() as connection:
        assert deployments.get(connection, first.id).state is DeploymentState.REPLACED
    assert bench.target.release("green") == Release("r3")
    with bench.store.engine.begin() as connection:
        deployments.change(connection, second.id, state=DeploymentState.WATCH, weight=10)
    with pytest.raises(Conflict, match="DEPLOYMENT_BUSY"):
        known.up(WANTED)


def test_a_rollback_that_is_asked_for_elsewhere_ends_a_switch_that_is_under_way(bench: DeployHarness) -> None:
    known = bench.deployments()
    row = known.up(WANTED)
    with bench.store.engine.connect() as connection:
        assert deployments.get(connection, row.id).can_switch

    def ask() -> None:
        with bench.store.engine.begin() as connection:
            if deployments.get(connection, row.id).can_roll_back:
                deployments.request_change(connection, row.id, ROLLBACK, actor="carol", why="stop", tenant="acme")

    bench.analyser.during_watch = ask
    after = known.switch("rag:ann")
    assert (after.state, after.wanted_by, bench.target.weights) == (DeploymentState.ROLLED_BACK, "carol", [10, 0])


def test_what_is_asked_for_over_the_api_is_done_by_the_next_look(bench: DeployHarness) -> None:
    known = bench.deployments()
    row = known.up(WANTED)
    with bench.store.engine.begin() as connection:
        deployments.request_change(connection, row.id, SWITCH, actor="carol", why="go", tenant="acme")
    done = known.resume()
    assert done is not None
    assert done.state is DeploymentState.DONE


@pytest.mark.parametrize(("missed", "state"), [(1, DeploymentState.DONE), (1000, DeploymentState.ROLLED_BACK)])
def test_only_servers_that_stay_unhealthy_roll_a_release_back(
    bench: DeployHarness, missed: int, state: DeploymentState
) -> None:
    """A busy machine misses a probe now and then."""
    settings = bench.settings.model_copy(update={"deploy_failing_seconds": 0.3})
    known = replace(bench, settings=settings).deployments()
    known.up(WANTED)
    probes = [Health(1, 1), *[Health(1, 0, "a gateway finds 0 of 1 servers healthy")] * missed]
    bench.target.health = lambda colour: probes.pop(0) if probes else Health(1, 1)  # type: ignore[method-assign]
    row = known.switch("rag:ann")
    assert (row.state, bool(row.detail)) == (state, state is DeploymentState.ROLLED_BACK)


def good(bench: DeployHarness) -> Deployment | None:
    known = bench.deployments()
    known.up(WANTED)
    return known.switch("rag:ann")


def failing(bench: DeployHarness) -> Deployment | None:
    bench.analyser.bad_at = {100: SLOW}
    return good(bench)


def refused(bench: DeployHarness) -> Deployment | None:
    bench.analyser.smoke_test = SLOW
    return bench.deployments().up(WANTED)


@pytest.mark.parametrize("point", ["deploy_recorded", "deploy_acted"])
@pytest.mark.parametrize(
    ("scenario", "end", "weight", "colours"),
    [
        (good, DeploymentState.DONE, 100, {"blue", "green"}),
        (failing, DeploymentState.ROLLED_BACK, 0, {"blue", "green"}),
        (refused, DeploymentState.REFUSED, 0, {"blue"}),
    ],
)
def test_a_deployer_that_dies_at_any_point_is_gone_on_from(
    bench: DeployHarness,
    point: str,
    scenario: Callable[[DeployHarness], Deployment | None],
    end: DeploymentState,
    weight: int,
    colours: set[str],
) -> None:
    """The first run dies at its first point, the next at its second, and so on until one gets through."""
    settings = bench.settings.model_copy(update={"deploy_steps": "50,100"})
    deaths = 0
    for death in range(1, 20):
        at = replace(bench, settings=settings, target=type(bench.target)())
        with bench.store.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE rag.deployments CASCADE")
        failpoints.arm(f"{point}:{death}:raise")
        try:
            scenario(at)
        except failpoints.FailpointReached:
            deaths += 1
        else:
            break
        failpoints.arm(None)
        known = at.deployments()
        known.resume()
        if (row := known.newest()) is not None and row.state is DeploymentState.READY:
            known.switch("rag:ann")
        row = known.newest()
        assert row is not None
        assert (row.state, at.target.green, at.target.running.keys()) == (end, weight, colours), death
    assert deaths >= (3 if scenario is refused else 7)
