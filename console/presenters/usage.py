"""Usage and budgets as rows of a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.presenters.formats import plain
from ragproto.admin.v1 import usage_pb2 as pb

_NEARLY = 0.8


def usage_rows(rows: Iterable[pb.UsageRow]) -> list[dict[str, Any]]:
    """One row per day, tenant and API key."""
    return [
        {
            "day": row.day,
            "tenant": plain(row.tenant),
            "key": row.key_id,
            "calls": row.calls,
            "refused": row.refused_calls,
            "read": row.prompt_tokens,
            "written": row.completion_tokens,
        }
        for row in rows
    ]


def budget_rows(found: pb.ListUsageResponse) -> list[dict[str, Any]]:
    """One row per budget, with what is used of it in per cent; `None` where there is no limit."""
    stored = {one.tenant: one.documents for one in found.documents}
    return [
        {
            "tenant": plain(one.tenant),
            "key": one.key_id,
            "calls": one.calls_per_day if one.HasField("calls_per_day") else None,
            "calls_used": _share(one.calls_used, one, "calls_per_day"),
            "tokens": one.model_tokens_per_day if one.HasField("model_tokens_per_day") else None,
            "tokens_used": _share(one.model_tokens_used, one, "model_tokens_per_day"),
            "documents": one.documents if one.HasField("documents") else None,
            "documents_used": _share(stored.get(one.tenant, 0), one, "documents"),
        }
        for one in found.budgets
    ]


def trouble(found: pb.ListUsageResponse) -> list[tuple[str, bool]]:
    """Names of those who used 80 % of a budget, and whether it is used up."""
    said = []
    for row in budget_rows(found):
        share = max((row[name] or 0 for name in ("calls_used", "tokens_used", "documents_used")), default=0)
        if share >= 100 * _NEARLY:
            said.append((f"{row['tenant']}/{row['key']}" if row["key"] else row["tenant"], share >= 100))
    return said


def _share(used: int, row: pb.BudgetRow, limit: str) -> float | None:
    if not row.HasField(limit):
        return None
    most = getattr(row, limit)
    return round(100 * used / most, 1) if most else 100.0


def request_of(tenant: str, key_id: str, limits: dict[str, int | None], reason: str) -> pb.SetBudgetRequest:
    """The request that sets these limits; `None` sets none."""
    given = {name: value for name, value in limits.items() if value is not None}
    return pb.SetBudgetRequest(tenant=tenant, key_id=key_id, reason=reason, **given)
