"""Times of messages that are no times are refused for what is wrong with them."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.errors import InvalidInput
from rag_core.retrieval.engines.remote import filter_from_wire
from ragproto.query.v2 import query_pb2 as pb


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (Timestamp(seconds=1, nanos=-1), "nanos of a time must be from 0 to 999,999,999"),
        (Timestamp(seconds=1, nanos=1_000_000_000), "nanos of a time must be from 0 to 999,999,999"),
        (Timestamp(seconds=10**12), "between the years 1 and 9999"),
    ],
)
def test_nanos_are_not_blamed_on_the_year(time: Timestamp, said: str) -> None:
    wanted = pb.Filter(time=pb.Filter.TimeRange(field="updated_at", gte=time))
    with pytest.raises(InvalidInput, match=said):
        filter_from_wire(wanted)
