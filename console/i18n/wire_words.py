"""Words that arrive over a wire and are translated where they are shown."""

from __future__ import annotations

from console.i18n import N_

COMPONENTS = N_(("database", "embedder", "index"))
GENERATION_STATES = N_(("building", "ready", "active", "retired"))
DEPLOYMENT_TARGETS = N_(("local", "kubernetes"))
DEPLOYMENT_REQUESTS = N_(("switch", "rollback"))
SERVER_HEALTH = N_(("healthy", "unhealthy"))
ALERT_SEVERITIES = N_(("critical", "warning"))
AUTOMATION_KINDS = N_(("sensor", "schedule"))
DAGSTER_STATUSES = N_(
    ("not_started", "queued", "managed", "starting", "started", "success", "failure", "canceling", "canceled")
)
"""Statuses of runs and ticks, in lower case."""
BACKFILL_STATUSES = N_(("requested", "completed", "completed_success", "completed_failed", "failing", "failed"))
UNKNOWN = N_("unknown")
