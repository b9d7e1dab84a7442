"""Colours, deployments and analysis results as rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from console.clients.gitlab import CiPipeline, Environment
from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import deployments_pb2 as deploy

WATCHED_SECONDS = 60
"""Age of the last poll above which no deployer is running."""
STATES = N_(
    {
        deploy.DEPLOYMENT_STATE_PREPARE: "being prepared",
        deploy.DEPLOYMENT_STATE_HEALTHY: "waiting for its servers",
        deploy.DEPLOYMENT_STATE_SMOKE: "being tested",
        deploy.DEPLOYMENT_STATE_READY: "ready to switch",
        deploy.DEPLOYMENT_STATE_SHIFT: "shifting traffic",
        deploy.DEPLOYMENT_STATE_WATCH: "being analysed",
        deploy.DEPLOYMENT_STATE_DONE: "serves all traffic",
        deploy.DEPLOYMENT_STATE_ROLLING_BACK: "rolling back",
        deploy.DEPLOYMENT_STATE_ROLLED_BACK: "rolled back",
        deploy.DEPLOYMENT_STATE_REFUSED: "refused by a gate",
        deploy.DEPLOYMENT_STATE_REPLACED: "replaced before it served",
    }
)


def colour_rows(colours: Iterable[deploy.Colour], now: float) -> list[dict[str, Any]]:
    """One row per colour; `watched` is whether a deployer is alive."""
    return [
        {
            "colour": item.name,
            "target": item.target,
            "release": plain(item.release),
            "weight": item.weight,
            "healthy": item.healthy,
            "servers": item.servers,
            "well": item.healthy >= item.servers if item.servers else None,
            "detail": plain(item.detail),
            "seen": item.seen_at.seconds,
            "watched": now - item.seen_at.seconds <= WATCHED_SECONDS,
            "keep": item.keep_until.seconds,
        }
        for item in colours
    ]


def deployment_rows(deployments: Iterable[deploy.Deployment]) -> list[dict[str, Any]]:
    """One row per deployment."""
    return [
        {
            "id": item.id,
            "release": plain(item.release),
            "colour": item.colour,
            "state": STATES.get(item.state, "unknown"),
            "weight": item.weight,
            "reason": item.reason,
            "actor": plain(item.actor),
            "why": plain(item.why),
            "at": item.created_at.seconds,
            "seconds": (item.finished_at.seconds - item.created_at.seconds) if item.finished_at.seconds else None,
        }
        for item in deployments
    ]


def step_rows(history: Iterable[deploy.DeploymentStep]) -> list[dict[str, Any]]:
    """History of a deployment, oldest first, with the figures of each check."""
    return [
        {
            "at": item.at.seconds,
            "step": item.step,
            "passed": item.passed,
            "weight": item.weight,
            "seconds": item.seconds,
            "reason": item.reason,
            "detail": plain(item.detail),
            "figures": plain(", ".join(f"{name} {_short(value)}" for name, value in sorted(_figures(item).items()))),
        }
        for item in history
    ]


def _figures(item: deploy.DeploymentStep) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(item.figures)
    return found


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def pipeline_rows(pipelines: Iterable[CiPipeline]) -> list[dict[str, Any]]:
    """One row per pipeline of GitLab."""
    return [
        {"number": item.number, "status": item.status, "ref": plain(item.ref), "commit": item.commit,
         "at": moment(item.at)}
        for item in pipelines
    ]  # fmt: skip


def environment_rows(environments: Iterable[Environment]) -> list[dict[str, Any]]:
    """One row per environment of GitLab."""
    return [
        {"name": plain(item.name), "state": item.state, "deployed": plain(item.deployed), "at": moment(item.at)}
        for item in environments
    ]


def moment(text: str) -> float | None:
    """Seconds since the epoch of a time in ISO 8601, `None` for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
