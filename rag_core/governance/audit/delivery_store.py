"""Figures of software delivery from the rows of deployments: frequency, lead time, failures, time to restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

DAYS = 30
_OUTCOMES = text(
    "SELECT state, count(*) AS found,"
    " percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at)) AS seconds"
    " FROM rag.deployments WHERE finished_at > now() - make_interval(days => :days) GROUP BY state"
)
_RESTORED = text(
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.finished_at - failed.at))"
    " FROM rag.deployments d JOIN LATERAL"
    " (SELECT min(s.at) AS at FROM rag.deployment_steps s WHERE s.deployment = d.id AND NOT s.passed) failed"
    " ON failed.at IS NOT NULL"
    " WHERE d.state = 'rolled_back' AND d.finished_at > now() - make_interval(days => :days)"
)


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """Deployments that ended in the last `DAYS` days. Times are medians, `None` where nothing of the kind ended."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Number by final state."""
    lead_seconds: float | None = None
    """From the request of a release until it serves all traffic."""
    restore_seconds: float | None = None
    """From the first failed step of a deployment until the release before serves all traffic again."""


def read(connection: Connection) -> DeliveryFigures:
    """Return the figures of the last `DAYS` days."""
    rows = connection.execute(_OUTCOMES, {"days": DAYS}).all()
    restored = connection.scalar(_RESTORED, {"days": DAYS})
    lead = {row.state: float(row.seconds) for row in rows}.get("done")
    return DeliveryFigures({row.state: row.found for row in rows}, lead, None if restored is None else float(restored))
