"""The next state of a deployment. Pure: a row and an analysis result in, the columns to change out.

    prepare -> healthy -> smoke -> ready .. (a switch is asked for) .. shift -> watch -> shift -> watch .. -> done
       \\__________\\_________\\_______\\__ refused      \\________\\_______\\________\\__ rolling_back -> rolled_back
                                                                           done __/ (a rollback is asked for)

Before a weight has moved a failure refuses the deployment; afterwards it moves the weights back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rag_core.errors import Reason
from rag_core.governance.audit import ROLLBACK, SWITCH, Deployment, DeploymentState

Changes = dict[str, Any]
BEFORE_TRAFFIC = frozenset(
    {DeploymentState.PREPARE, DeploymentState.HEALTHY, DeploymentState.SMOKE, DeploymentState.READY}
)
_NEXT = {
    DeploymentState.PREPARE: DeploymentState.HEALTHY,
    DeploymentState.HEALTHY: DeploymentState.SMOKE,
    DeploymentState.SMOKE: DeploymentState.READY,
    DeploymentState.SHIFT: DeploymentState.WATCH,
}


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """The outcome of a state's work, or of one check. `reason` is a reason code when it did not pass."""

    passed: bool
    detail: str = ""
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def good(cls, detail: str = "", **figures: Any) -> AnalysisResult:
        return cls(True, detail, "", figures)

    @classmethod
    def bad(cls, reason: Reason, detail: str, **figures: Any) -> AnalysisResult:
        return cls(False, detail, reason, figures)


def waits(row: Deployment) -> bool:
    """Return whether nothing is to be done now: it has ended, or it is ready and no request is pending."""
    return not row.wanted and (row.state.final or row.state is DeploymentState.READY)


def begin(row: Deployment, smoke_is_old: bool) -> Changes:
    """Changes that a request brings before any work; empty when it brings none.

    A rollback is answered first. A switch goes through the smoke test again when that is old.
    """
    if row.wanted == ROLLBACK and row.state not in BEFORE_TRAFFIC:
        because = {"reason": row.reason or Reason.ROLLBACK_REQUESTED, "detail": row.detail or row.wanted_why}
        return _back(row) | because | {"wanted": ""}
    if row.wanted == SWITCH and row.state is DeploymentState.READY:
        if smoke_is_old:
            return {"state": DeploymentState.HEALTHY}
        return {"state": DeploymentState.SHIFT, "position": 0, "weight": row.steps[0], "wanted": ""}
    return {}


def withdrawn(row: Deployment) -> AnalysisResult | None:
    """The result for an operator's rollback request before any traffic was shifted."""
    if row.wanted == ROLLBACK and row.state in BEFORE_TRAFFIC:
        return AnalysisResult.bad(Reason.ROLLBACK_REQUESTED, row.wanted_why or "withdrawn")
    return None


def advance(row: Deployment, result: AnalysisResult, grace_seconds: float) -> Changes:
    """Changes after the work of `row.state` ended like this."""
    if row.state is DeploymentState.ROLLING_BACK:
        return {"state": DeploymentState.ROLLED_BACK, "keep_until": _until(grace_seconds)}
    if not result.passed:
        why = {"reason": result.reason, "detail": result.detail, "wanted": ""}
        return ({"state": DeploymentState.REFUSED} if row.state in BEFORE_TRAFFIC else _back(row)) | why
    if row.state is not DeploymentState.WATCH:
        return {"state": _NEXT[row.state]}
    following = row.position + 1
    if following < len(row.steps):
        return {"state": DeploymentState.SHIFT, "position": following, "weight": row.steps[following]}
    return {"state": DeploymentState.DONE, "keep_until": _until(grace_seconds)}


def _back(row: Deployment) -> Changes:
    return {"state": DeploymentState.ROLLING_BACK, "weight": 0, "finished_at": None, "keep_until": None}


def _until(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
