"""Convert filters, results and errors of qdrant-client."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from qdrant_client import models

from rag_core.errors import DeadlineExceeded, Exhausted, NotFound, RagError, Reason, Unavailable
from rag_core.retrieval.index import Bounds


class QdrantFilterBuilder:
    """See `rag_core.retrieval.index.filter_builder.FilterBuilder`."""

    def any_of(self, field: str, values: Sequence[str]) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))])

    def newer_than(self, field: str, value: int) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key=field, range=models.Range(gt=value))])

    def time_range(self, field: str, gte: datetime | None, lt: datetime | None) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key=field, range=models.DatetimeRange(gte=gte, lt=lt))])

    def number_range(self, field: str, bounds: Bounds) -> models.Filter:
        return models.Filter(must=[models.FieldCondition(key=field, range=models.Range(**bounds))])

    def absent(self, field: str) -> models.Filter:
        return models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key=field))])

    def all_of(self, filters: Sequence[models.Filter]) -> models.Filter:
        return models.Filter(must=list(filters))

    def any_filter(self, filters: Sequence[models.Filter]) -> models.Filter:
        return models.Filter(should=list(filters))

    def none_of(self, filters: Sequence[models.Filter]) -> models.Filter:
        return models.Filter(must_not=list(filters))


FILTER_BUILDER = QdrantFilterBuilder()


_LOCAL_NOT_FOUND = re.compile(r"collection \S+ not found")
"""The text of the bare `ValueError` in qdrant-client's local mode."""
_Reasons = Sequence[tuple[Sequence[str], str]]
_MISCONFIGURED: Final[_Reasons] = (
    (("certificate_verify_failed", "certificate verify failed"),
     "its certificate is not trusted; set RAG_QDRANT_CA_FILE"),
    (("certificate_required", "certificate required", "bad certificate"),
     "it wants a client certificate; set RAG_QDRANT_CERT_FILE and RAG_QDRANT_KEY_FILE"),
    (("wrong_version_number", "ssl_error_ssl", "handshake failed", "ssl routines"), "it does not speak TLS; use http://"),
)  # fmt: skip
_AWAY: Final[_Reasons] = (
    (("name resolution", "dns resolution", "nodename nor servname", "domain name not found"), "its name is unknown"),
    (("connection refused", "econnrefused"), "nobody listens there"),
)  # fmt: skip
_CLOSED: Final = ("socket closed", "connection reset", "settings frame", "http1.x server", "http2 frame")
_CLOSES: Final = (
    "it closes the connection: it stops, or this is no gRPC port (Qdrant's is 6334), or it wants TLS (https://)"
)
_OUTAGES: Final = frozenset({"UNAVAILABLE", "INTERNAL"})
"""INTERNAL is the status of a cluster without a live replica of a shard."""
_CLOSES_TLS: Final = "it closes the connection: it may want a client certificate; set RAG_QDRANT_CERT_FILE"


def point_id(point: models.ScoredPoint | models.Record) -> uuid.UUID:
    """The id of a point. The platform uses UUIDs; a number is a foreign point, which `rag verify` must report."""
    return uuid.UUID(int=point.id) if isinstance(point.id, int) else uuid.UUID(str(point.id))


class Unreachable(Unavailable):
    """A node cannot be reached; another node may answer, or a retry may succeed."""


@contextmanager
def engine_errors(*, tls: bool = False) -> Iterator[None]:
    """Translate errors of qdrant-client (gRPC, HTTP, `ValueError` in local mode) into `RagError`."""
    try:
        yield
    except RagError:
        raise
    except Exception as error:
        raise translated(error, tls=tls) from error


def translated(error: Exception, *, tls: bool = False) -> RagError:
    """The `RagError`, without the server's text. `tls`: whether the connection should use TLS."""
    code, text = _status(error), _said(error).lower()
    if "no space left" in text or "disk is full" in text or "out of disk" in text:
        return Exhausted(Reason.STORAGE_FULL, "the disk of the Qdrant server is full; free some space and run again")
    if code in {"NOT_FOUND", "404"} or _LOCAL_NOT_FOUND.fullmatch(text):
        return NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation")
    if "index required but not found" in text:
        return Unavailable(
            Reason.INDEX_UNAVAILABLE,
            "the Qdrant server is in strict mode and a payload index is missing; declare the field in "
            "RAG_METADATA_FIELDS, then `rag verify`",
        )
    if code == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(Reason.DEADLINE, "the Qdrant server did not answer in time")
    if code in {"RESOURCE_EXHAUSTED", "429"}:
        return Exhausted(Reason.OVERLOADED, "the Qdrant server is overloaded; try again later")
    if code in {"UNAUTHENTICATED", "PERMISSION_DENIED", "401", "403"}:
        return Unavailable(Reason.INDEX_UNAVAILABLE, "the Qdrant server refuses the key; check RAG_QDRANT_API_KEY")
    if why := _why(_MISCONFIGURED, text):
        return Unavailable(Reason.INDEX_UNAVAILABLE, f"the Qdrant server cannot be used ({why})")
    why = _why(((_CLOSED, _CLOSES_TLS if tls else _CLOSES), *_AWAY), text) or code or type(error).__name__
    kind = Unreachable if code in _OUTAGES else Unavailable
    return kind(Reason.INDEX_UNAVAILABLE, f"the Qdrant server cannot be used ({why})")


def _why(reasons: _Reasons, text: str) -> str:
    return next((why for said, why in reasons if any(part in text for part in said)), "")


def _said(error: Exception) -> str:
    """The message of the server or channel; a gRPC error's `str` also contains the call site."""
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error)


def _status(error: Exception) -> str:
    # A gRPC error has code(), an HTTP error status_code. grpc itself is not imported here: only `remote` may.
    code = getattr(error, "code", None)
    if callable(code):
        return str(getattr(code(), "name", ""))
    return str(getattr(error, "status_code", ""))
