"""Calls of `query.v2.CurationService`: what editors decide for a question."""

from __future__ import annotations

from console.clients.calls import ServiceCalls
from ragproto.query.v2 import curation_pb2 as pb


class CurationApi(ServiceCalls):
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def curations(self) -> list[pb.Curation]:
        """List what was decided, newest first."""
        return list(self.ask_all("ListCurations", "curations", page_size=500).curations)

    def save(self, curation: pb.Curation, reason: str) -> pb.Curation:
        """Create a curation, or replace the one with its number."""
        return self.ask("SaveCuration", curation=curation, reason=reason).curation

    def remove(self, number: int, reason: str) -> None:
        """Remove a curation."""
        self.ask("RemoveCuration", id=number, reason=reason)
