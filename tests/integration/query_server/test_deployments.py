"""DeploymentService: operators see deployments, an administrator asks for a switch, and the asking is on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.database import Store, open_store
from rag_core.governance.audit import Colour, DeploymentState, Step
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from ragproto.admin.v1 import deployments_pb2 as pb
from ragproto.admin.v1 import deployments_pb2_grpc as rpc
from tests.support.query_server import RunningServer, failure_of, running

VIEWER, ADMIN = ["query.read", "platform.read"], ["query.read", "platform.admin"]


@pytest.fixture
def server(tmp_path: Path, store: Store, database_url: str) -> Iterator[RunningServer]:
    settings = Settings(home=tmp_path, database_url=database_url)
    with running(tmp_path / "home", open_store=lambda: open_store(settings)) as started:
        yield started


def caller(server: RunningServer, scopes: list[str]) -> Callable[..., Any]:
    stub, metadata = rpc.DeploymentServiceStub(server.channel), server.auth(scopes=scopes)
    return lambda name, **fields: getattr(stub, name)(
        getattr(pb, f"{name}Request")(**fields), metadata=metadata, timeout=20
    )


def reason(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return failure_of(caught.value).reason


def begin(store: Store, **changes: Any) -> int:
    values = {
        "target": "local",
        "release": "r2",
        "spec": {},
        "colour": "green",
        "from_colour": "blue",
        "state": DeploymentState.READY,
        "steps": [10, 100],
        "actor": "rag:ann",
        "why": "new model",
    }
    with store.engine.begin() as connection:
        row = deployments.add(connection, **values | changes)
        deployments.change(connection, row.id, state=row.state)
        return row.id


def test_a_switch_is_asked_for_once_by_an_administrator_with_a_reason(server: RunningServer, store: Store) -> None:
    viewer, admin = caller(server, VIEWER), caller(server, ADMIN)
    assert reason(lambda: viewer("GetDeployment")) == "DEPLOYMENT_NOT_FOUND"
    number = begin(store)
    assert viewer("GetDeployment").deployment.can_switch
    assert reason(lambda: viewer("RequestSwitch", id=number, reason="now")) == "SCOPE_MISSING"
    assert reason(lambda: admin("RequestSwitch", id=number)) == "FIELD_INVALID"
    assert admin("RequestSwitch", id=number, reason="quality is better").deployment.wanted == "switch"
    assert reason(lambda: admin("RequestSwitch", id=number, reason="again")) == "DEPLOYMENT_STATE"
    with store.engine.connect() as connection:
        [entry] = audit.find(connection, audit.AuditQuery(action_start="deploy."))
        waiting = deployments.unfinished(connection, "local")
    assert (entry.actor, entry.action, entry.target, entry.tenant) == ("acme/ann", "deploy.switch", str(number), "acme")
    assert entry.details["reason"] == "quality is better"
    assert waiting is not None
    assert (waiting.wanted, waiting.wanted_by) == ("switch", "acme/ann")


def test_operators_see_colours_history_and_what_can_be_asked_for(server: RunningServer, store: Store) -> None:
    viewer, admin = caller(server, VIEWER), caller(server, ADMIN)
    hour = datetime.now(UTC) + timedelta(hours=1)
    old = begin(store, state=DeploymentState.ROLLED_BACK, reason="GREEN_SLOW")
    number = begin(store, state=DeploymentState.DONE, weight=100, keep_until=hour)
    with store.engine.begin() as connection:
        deployments.add_step(connection, number, Step("smoke.golden", True, 0, 1.5, figures={"questions": 20}))
        deployments.add_step(connection, number, Step("shift", True, 100, 0.1))
        blue = Colour("local", "blue", "r1", 0, 1, 1, keep_until=hour)
        deployments.save_colours(connection, "local", [blue, Colour("local", "green", "r2", 100, 2, 1, "one is down")])
    seen = viewer("ListColours").colours
    assert [(c.name, c.release, c.weight, c.servers, c.healthy) for c in seen] == [
        ("blue", "r1", 0, 1, 1),
        ("green", "r2", 100, 2, 1),
    ]
    first = viewer("ListDeployments", page_size=1)
    assert [row.id for row in first.deployments] == [number]
    [rest] = viewer("ListDeployments", page_token=first.next_page_token).deployments
    assert (rest.id, rest.state, rest.reason, rest.can_roll_back) == (
        old,
        pb.DEPLOYMENT_STATE_ROLLED_BACK,
        "GREEN_SLOW",
        False,
    )
    assert reason(lambda: admin("RequestRollback", id=old, reason="why not")) == "DEPLOYMENT_STATE"
    found = viewer("GetDeployment", id=number)
    assert [(step.step, step.weight, dict(step.figures)) for step in found.history] == [
        ("smoke.golden", 0, {"questions": 20}),
        ("shift", 100, {}),
    ]
    assert found.deployment.can_roll_back
    assert admin("RequestRollback", id=number, reason="users complain").deployment.wanted == "rollback"
