"""Messages of admin.v1.AdminService."""

from __future__ import annotations

from query_server.handlers.platform_status import ComponentStatus, GenerationStatus, SourceCounts, Status
from ragproto.admin.v1 import admin_pb2 as pb


def from_status(status: Status) -> pb.GetStatusResponse:
    """The snapshot as a message."""
    return pb.GetStatusResponse(
        components=map(_component, status.components),
        sources=map(_source, status.sources),
        generations=map(_generation, status.generations),
        server_version=status.server_version,
    )


def _component(component: ComponentStatus) -> pb.Component:
    return pb.Component(name=component.name, healthy=component.healthy, detail=component.detail)


def _source(counts: SourceCounts) -> pb.SourceStatus:
    message = pb.SourceStatus(
        name=counts.name,
        kind=counts.kind,
        documents=counts.documents,
        chunks=counts.chunks,
        pending=counts.pending,
        quarantined=counts.quarantined,
        held_deletions=counts.held_deletions,
    )
    if counts.last_complete_at is not None:
        message.last_complete_at.FromDatetime(counts.last_complete_at)
    return message


def _generation(status: GenerationStatus) -> pb.Generation:
    message = pb.Generation(
        name=status.spec.name,
        state=status.state,
        points=status.points,
        embedder=status.spec.embedder,
        chunker=status.spec.chunker,
    )
    if status.row is not None:
        message.created_at.FromDatetime(status.row.created_at)
    return message
