"""Messages of admin.v1.DeploymentService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from ragproto.admin.v1 import deployments_pb2 as pb

if TYPE_CHECKING:
    from rag_core.governance.audit import Colour, Deployment, Step


def from_colour(colour: Colour) -> pb.Colour:
    """A colour as it was seen."""
    return message_of(pb.Colour, colour)


def from_deployment(row: Deployment) -> pb.Deployment:
    """A deployment."""
    return message_of(pb.Deployment, row, state=f"DEPLOYMENT_STATE_{row.state.name}")


def from_step(step: Step) -> pb.DeploymentStep:
    """An entry of a deployment's history."""
    return message_of(pb.DeploymentStep, step, figures=dict(step.figures) or None)
