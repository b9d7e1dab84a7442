"""The page Tenants: what it lists, and what it asks the platform to do."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.presenters import tenants as presenters
from ragproto.admin.v1 import tenants_pb2 as pb
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, interpreted, opened

POLICY = pb.EgressPolicy(
    uses=[pb.EGRESS_USE_ANSWER, pb.EGRESS_USE_EMBED],
    sources=[
        pb.SourceEgress(source="hr", uses=[pb.EGRESS_USE_EMBED]),
        pb.SourceEgress(source="legal", by_file=True),
    ],
)
TENANTS = [
    pb.Tenant(name="acme", state=pb.TENANT_STATE_ACTIVE, egress=POLICY, sources=2, documents=30, reason=HOSTILE),
    pb.Tenant(name="gone", state=pb.TENANT_STATE_ERASED, receipt_json='{"tenant": "gone"}'),
]


@pytest.fixture
def peer(platform: Platform) -> Any:
    peer = platform.gateway.peer
    peer.operations["ListTenants"] = pb.ListTenantsResponse(tenants=TENANTS)
    return peer


def test_tenants_and_where_their_text_may_go_are_listed_as_text(app: AppTest, peer: Any) -> None:
    opened(app, "tenants")
    assert not app.exception
    (listed,) = [frame.value for frame in app.dataframe]
    assert list(listed["name"]) == ["acme", "gone"]
    assert list(listed["state"]) == ["active", "erased"]
    assert list(listed["uses"]) == ["answer model, embedding model", "nowhere"]
    assert "attacker" not in interpreted(app)


def test_a_tenant_is_created_with_its_reason(app: AppTest, peer: Any) -> None:
    opened(app, "tenants")
    app.text_input(key="tenant-name").input("beta").run()
    app.text_input(key="tenant-create-why").input("contract")
    app.button(key="tenant-create-do").click().run()
    (request,) = [request for name, request in peer.asked if name == "CreateTenant"]
    assert (request.name, request.reason, request.own_egress) == ("beta", "contract", False)


def test_one_source_of_a_policy_is_changed_and_files_keep_saying_theirs() -> None:
    assert presenters.narrowed(POLICY, "", None) == {"hr": [pb.EGRESS_USE_EMBED]}
    assert presenters.narrowed(POLICY, "pay", [1]) == {"hr": [pb.EGRESS_USE_EMBED], "pay": [1]}
    assert presenters.narrowed(POLICY, "hr", None) == {}
    assert (presenters.narrower(POLICY, "hr"), presenters.narrower(POLICY, "legal")) == ([pb.EGRESS_USE_EMBED], None)
    rows = presenters.source_rows(POLICY)
    assert [(row["source"], row["uses"], row["set_by"]) for row in rows] == [
        ("hr", ["embedding model"], "policy of the tenant"),
        ("legal", [], "source file"),
    ]
