"""What a consumer holds of a partition, when a batch outlives the assignment that it was read in."""

from __future__ import annotations

import pytest

from rag_assets.stream_worker.kafka.partitions import Partition, partition_at
from rag_core.content.streams import PartitionOffset


def read(partition: Partition) -> None:
    for offset in range(5, 10):
        partition.receive(offset, at=100.0 + offset)
    partition.reach_end(10, 10)


@pytest.mark.parametrize("again", ["before", "after"])
def test_a_batch_of_the_assignment_before_this_one_leaves_nothing_waiting_that_nothing_applies(again: str) -> None:
    partition = partition_at(PartitionOffset(5))
    if again == "before":
        read(partition)
    partition.done(10)  # the batch of before, applied after the partition came back
    if again == "after":
        read(partition)
    assert (partition.outstanding, partition.lag, partition.at_end) == (0, 0, True)


def test_messages_wait_until_they_are_applied_and_the_oldest_is_known() -> None:
    partition = partition_at(PartitionOffset(5))
    read(partition)
    partition.done(7)
    assert (partition.lag, partition.waiting[0]) == (3, (7, 107.0))
