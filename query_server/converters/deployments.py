"""Messages of admin.v1.DeploymentService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.times import to_timestamp
from ragproto.admin.v1 import deployments_pb2 as pb

if TYPE_CHECKING:
    from rag_core.operations import Colour, Deployment, Step


def from_colour(colour: Colour) -> pb.Colour:
    """A colour as it was seen."""
    return pb.Colour(
        name=colour.name,
        target=colour.target,
        release=colour.release,
        weight=colour.weight,
        servers=colour.servers,
        healthy=colour.healthy,
        detail=colour.detail,
        seen_at=to_timestamp(colour.seen_at),
        keep_until=to_timestamp(colour.keep_until),
    )


def from_deployment(row: Deployment) -> pb.Deployment:
    """A deployment."""
    return pb.Deployment(
        id=row.id,
        target=row.target,
        release=row.release,
        colour=row.colour,
        from_colour=row.from_colour,
        state=f"DEPLOYMENT_STATE_{row.state.name}",
        weight=row.weight,
        steps=row.steps,
        generation=row.generation,
        actor=row.actor,
        why=row.why,
        reason=row.reason,
        detail=row.detail,
        wanted=row.wanted,
        created_at=to_timestamp(row.created_at),
        updated_at=to_timestamp(row.updated_at),
        finished_at=to_timestamp(row.finished_at),
        keep_until=to_timestamp(row.keep_until),
        can_switch=row.can_switch,
        can_roll_back=row.can_roll_back,
    )


def from_step(step: Step) -> pb.DeploymentStep:
    """An entry of a deployment's history."""
    message = pb.DeploymentStep(
        at=to_timestamp(step.at),
        step=step.step,
        passed=step.passed,
        reason=step.reason,
        detail=step.detail,
        weight=step.weight,
        seconds=step.seconds,
    )
    message.figures.update(step.figures)
    return message
