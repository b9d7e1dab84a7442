"""Messages about usage and budgets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from query_server.handlers.usage import OwnUsage, Report
from rag_core.governance.usage import Budget, Owner, Usage
from ragproto.admin.v1 import usage_pb2 as pb
from ragproto.query.v2 import query_pb2 as v2

if TYPE_CHECKING:
    from rag_core.governance.usage import Day


def to_budget(request: pb.SetBudgetRequest) -> Budget:
    """The limits that a request sets."""
    return Budget(
        request.calls_per_day if request.HasField("calls_per_day") else None,
        request.model_tokens_per_day if request.HasField("model_tokens_per_day") else None,
        request.documents if request.HasField("documents") else None,
    )


def from_budget(owner: Owner, budget: Budget, used: Usage | None = None) -> pb.BudgetRow:
    """A budget, and what of it was used today."""
    return message_of(
        pb.BudgetRow,
        budget,
        tenant=owner.tenant,
        key_id=owner.key_id,
        calls_used=used.calls if used else 0,
        model_tokens_used=used.model_tokens if used else 0,
    )


def from_report(report: Report, shown: Iterable[Day], token: str) -> pb.ListUsageResponse:
    """A page of usage, with the budgets of the report."""
    rows = [
        message_of(
            pb.UsageRow,
            row.usage,
            day=row.at.isoformat(),
            tenant=row.owner.tenant,
            key_id=row.owner.key_id,
            refused_calls=row.usage.refused,
        )
        for row in shown
    ]
    budgets = [from_budget(owner, budget, report.today.get(owner)) for owner, budget in sorted(report.budgets.items())]
    stored = [pb.StoredDocuments(tenant=tenant, documents=count) for tenant, count in sorted(report.documents.items())]
    return pb.ListUsageResponse(
        rows=rows,
        budgets=budgets,
        documents=stored,
        renews_at=report.renews_at,
        more=bool(token),
        next_page_token=token,
    )


def from_own(usage: OwnUsage) -> v2.GetUsageResponse:
    """Convert the usage of a caller's tenant and of its key."""
    return message_of(
        v2.GetUsageResponse,
        usage,
        days=[_day(at, used) for at, used in usage.days],
        key_days=[_day(at, used) for at, used in usage.key_days],
        budget=_limits(usage.budget),
        key_budget=_limits(usage.key_budget),
    )


def _day(at: date, used: Usage) -> v2.GetUsageResponse.DailyUsage:
    return message_of(v2.GetUsageResponse.DailyUsage, used, day=at.isoformat(), refused_calls=used.refused)


def _limits(budget: Budget) -> v2.GetUsageResponse.Budget:
    return message_of(v2.GetUsageResponse.Budget, budget)
