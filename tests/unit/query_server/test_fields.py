"""Messages that are filled by the names of their fields."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from query_server.converters.fields import message_of
from ragproto.admin.v1 import webhooks_pb2 as pb
from ragproto.documents.v1 import documents_pb2 as docs

AT = datetime(2026, 11, 28, 9, 30, 1, 250_000, tzinfo=UTC)


@dataclass
class Receipt:
    source_version: int = 7
    sequence: int = 3
    repeated: bool = True
    received_at: datetime | None = AT


def test_fields_come_from_the_value_by_their_names_and_from_what_is_given() -> None:
    made = message_of(docs.PutResponse, Receipt(), doc_id="d", accepted_at=AT)
    assert (made.doc_id, made.source_version, made.sequence, made.repeated) == ("d", 7, 3, True)
    assert made.accepted_at.ToDatetime(tzinfo=UTC) == AT


def test_what_is_none_stays_unset() -> None:
    made = message_of(docs.PutResponse, Receipt(sequence=None), doc_id="d", accepted_at=None)  # type: ignore[arg-type]
    assert made.sequence == 0
    assert not made.HasField("accepted_at")


def test_a_field_that_nobody_fills_is_an_error() -> None:
    with pytest.raises(AttributeError, match="accepted_at"):
        message_of(docs.PutResponse, Receipt(), doc_id="d")
    with pytest.raises(AttributeError):
        message_of(pb.Webhook, Receipt())
