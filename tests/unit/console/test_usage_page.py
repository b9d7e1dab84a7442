"""The page Usage: what is used of each budget, who is near its end, and the form that sets one."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from ragproto.admin.v1 import usage_pb2 as pb
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import opened

REPORT = pb.ListUsageResponse(
    rows=[pb.UsageRow(day="2026-11-27", tenant="acme", key_id="k1", calls=7, refused_calls=2, prompt_tokens=900)],
    budgets=[
        pb.BudgetRow(tenant="acme", calls_per_day=10, documents=4, calls_used=7),
        pb.BudgetRow(tenant="acme", key_id="k1", calls_per_day=7, calls_used=7),
    ],
    documents=[pb.StoredDocuments(tenant="acme", documents=3)],
)


def test_budgets_and_usage_are_shown_and_who_has_used_his_up(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.operations["ListUsage"] = REPORT
    page = opened(app, "usage")
    assert not page.exception
    budgets, usage, stored = (frame.value for frame in page.dataframe)
    assert list(budgets["calls_used"]) == [70.0, 100.0]
    assert budgets["documents_used"][0] == 75.0
    assert usage.to_dict("records")[0] | {"day": ""} == {
        "day": "", "tenant": "acme", "key": "k1", "calls": 7, "refused": 2, "read": 900, "written": 0
    }  # fmt: skip
    assert list(stored["documents"]) == [3]
    assert [one.value for one in page.error] == ["The budget of acme/k1 is used up."]


def test_a_platform_admin_sets_a_budget(app: AppTest, platform: Platform) -> None:
    page = opened(app, "usage")
    page.text_input("usage-tenant").set_value("beta")
    page.number_input("usage-calls").set_value(500)
    next(one for one in page.button if one.label == "Set budget").click().run()
    assert not page.exception
    (request,) = [one for name, one in platform.gateway.peer.asked if name == "SetBudget"]
    assert (request.tenant, request.key_id, request.calls_per_day) == ("beta", "", 500)
    assert not request.HasField("documents")


def test_others_see_who_sets_budgets(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.scopes = ["ops.read"]
    page = opened(app, "usage")
    assert not [one for one in page.button if one.label == "Set budget"]
    assert "Budgets are set by operators of the platform." in [one.value for one in page.caption]
