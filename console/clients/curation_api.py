"""Calls of `query.v2.CurationService`: what editors decide for a question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.clients.paging import whole
from ragproto.query.v2 import curation_pb2 as pb
from ragproto.query.v2 import curation_pb2_grpc as rpc


class CurationApi:
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: rpc.CurationServiceStub, call: Callable[[Any, Any], Any]) -> None:
        self._stub = stub
        self._call = call

    def curations(self) -> list[pb.Curation]:
        """List what was decided, newest first."""

        def page(token: str) -> pb.ListCurationsResponse:
            response: pb.ListCurationsResponse = self._call(
                self._stub.ListCurations, pb.ListCurationsRequest(page_size=500, page_token=token)
            )
            return response

        return list(whole(page, "curations").curations)

    def save(self, curation: pb.Curation, reason: str) -> pb.Curation:
        """Create a curation, or replace the one with its number."""
        request = pb.SaveCurationRequest(curation=curation, reason=reason)
        saved: pb.SaveCurationResponse = self._call(self._stub.SaveCuration, request)
        return saved.curation

    def remove(self, number: int, reason: str) -> None:
        """Remove a curation."""
        self._call(self._stub.RemoveCuration, pb.RemoveCurationRequest(id=number, reason=reason))
