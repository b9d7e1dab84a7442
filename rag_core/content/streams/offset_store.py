"""Topic offsets, and the epochs that keep versions increasing when offsets restart.

Offsets order the changes of a document only within one partition of one topic. A version is therefore an epoch in the
high bits and an offset in the low bits: the epoch is raised when offsets restart (a recreated topic, another topic) or
when keys may have moved to other partitions (partitions were added). Later messages then still win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from rag_core.database import locks
from rag_core.errors import Conflict, Reason

EPOCH_BITS: Final = 48
"""Bits of the offset in a version; the epoch is in the bits above."""


@dataclass(frozen=True, slots=True)
class PartitionOffset:
    """The next offset of a partition. Messages from `epoch_from` on are of `epoch`, earlier ones of the previous epoch.

    `topic_id` is the broker's id of the topic, empty when it has none.
    """

    next_offset: int
    epoch: int = 0
    epoch_from: int = 0
    topic_id: str = ""

    def version(self, offset: int) -> int:
        """The version of the message at this offset, which orders the changes of its document."""
        epoch = self.epoch if offset >= self.epoch_from else self.epoch - 1
        return (epoch << EPOCH_BITS) | (offset + 1)


def load_offsets(connection: Connection, stream: str, topic: str) -> dict[int, PartitionOffset]:
    """The offset of each partition; partitions never consumed are absent."""
    rows = connection.execute(_OFFSETS, {"stream": stream, "topic": topic})
    return {row.partition: PartitionOffset(row.next_offset, row.epoch, row.epoch_from, row.topic_id) for row in rows}


def begin(
    connection: Connection,
    stream: str,
    topic: str,
    topic_id: str,
    fresh: Mapping[int, int],
    ends: Mapping[int, int],
) -> dict[int, PartitionOffset]:
    """The offset of each partition, after storing the offsets in `fresh` of partitions that have none.

    `ends` are the known end offsets: messages before them were produced before the partitions in `fresh` were
    discovered. Raises `Conflict` (`TOPIC_RECREATED`) when the rows are of another topic.
    """
    locks.lock_transaction(connection, f"stream/{stream}")
    known = load_offsets(connection, stream, topic)
    if any(place.topic_id and topic_id and place.topic_id != topic_id for place in known.values()):
        raise Conflict(
            Reason.TOPIC_RECREATED,
            f"topic {topic} was recreated: our positions are of the old one, and nothing was skipped",
        )
    fresh = {number: offset for number, offset in fresh.items() if number not in known}
    epoch = max((place.epoch for place in known.values()), default=0)
    elsewhere = connection.scalar(_ELSEWHERE, {"stream": stream, "topic": topic})
    if elsewhere is not None and elsewhere >= epoch:
        epoch = elsewhere + 1
    elif fresh and known:
        epoch += 1
    if known and any(place.epoch < epoch for place in known.values()):
        raised = {number: max(place.next_offset, ends.get(number, 0)) for number, place in known.items()}
        _raise_epoch(connection, stream, topic, epoch, raised)
    _insert(connection, stream, topic, topic_id, epoch, fresh)
    connection.execute(_ADOPT, {"stream": stream, "topic": topic, "topic_id": topic_id})
    return load_offsets(connection, stream, topic)


def advance(connection: Connection, stream: str, topic: str, topic_id: str, positions: Mapping[int, int]) -> None:
    """Record progress in the transaction of the rows it covers.

    Offsets never decrease: a worker that lost its partition and finishes late overwrites neither its successor's
    progress nor a reset to another topic of the same name.
    """
    if positions:
        params = {"stream": stream, "topic": topic, "topic_id": topic_id}
        connection.execute(_ADVANCE, params | {"partitions": list(positions), "offsets": list(positions.values())})


def reset(connection: Connection, stream: str, topic: str, topic_id: str, positions: Mapping[int, int]) -> int:
    """Set offsets as an operator requests, also backwards; returns the epoch. Partitions not named are deleted.

    The epoch is raised unless the ids show that the topic is the same. In the same topic, messages that are read again
    keep their versions: newer documents stay, and erased ones do not return.
    """
    locks.lock_transaction(connection, f"stream/{stream}")
    params = {"stream": stream, "topic": topic}
    known = load_offsets(connection, stream, topic)
    same = bool(topic_id) and bool(known) and all(place.topic_id == topic_id for place in known.values())
    newest = connection.scalar(_NEWEST_EPOCH, {"stream": stream})
    epoch = max(place.epoch for place in known.values()) if same else (0 if newest is None else newest + 1)
    kept = {number: place for number, place in known.items() if same and number in positions}
    connection.execute(text("DELETE FROM rag.stream_offsets WHERE stream = :stream AND topic = :topic"), params)
    for number, offset in positions.items():
        place = kept.get(number, PartitionOffset(offset, epoch))
        _insert(connection, stream, topic, topic_id, place.epoch, {number: offset}, place.epoch_from)
    return int(epoch)


def _insert(
    connection: Connection,
    stream: str,
    topic: str,
    topic_id: str,
    epoch: int,
    positions: Mapping[int, int],
    epoch_from: int = 0,
) -> None:
    if positions:
        params = {"stream": stream, "topic": topic, "topic_id": topic_id, "epoch": epoch, "from": epoch_from}
        connection.execute(_BEGIN, params | {"partitions": list(positions), "offsets": list(positions.values())})


def _raise_epoch(connection: Connection, stream: str, topic: str, epoch: int, starts: Mapping[int, int]) -> None:
    params = {"stream": stream, "topic": topic, "epoch": epoch}
    connection.execute(_RAISE, params | {"partitions": list(starts), "offsets": list(starts.values())})


_OFFSETS = text("""
SELECT partition, next_offset, epoch, epoch_from, topic_id FROM rag.stream_offsets
WHERE stream = :stream AND topic = :topic
""")
_ELSEWHERE = text("SELECT max(epoch) FROM rag.stream_offsets WHERE stream = :stream AND topic <> :topic")
_NEWEST_EPOCH = text("SELECT max(epoch) FROM rag.stream_offsets WHERE stream = :stream")
_ADVANCE = text("""
UPDATE rag.stream_offsets o SET next_offset = n.next_offset, updated_at = now()
FROM unnest(CAST(:partitions AS int[]), CAST(:offsets AS bigint[])) AS n (partition, next_offset)
WHERE o.stream = :stream AND o.topic = :topic AND o.partition = n.partition AND o.topic_id = :topic_id
  AND o.next_offset < n.next_offset
""")
_BEGIN = text("""
INSERT INTO rag.stream_offsets (stream, topic, partition, next_offset, epoch, epoch_from, topic_id)
SELECT :stream, :topic, n.partition, n.next_offset, :epoch, :from, :topic_id
FROM unnest(CAST(:partitions AS int[]), CAST(:offsets AS bigint[])) AS n (partition, next_offset)
ON CONFLICT DO NOTHING
""")
_RAISE = text("""
UPDATE rag.stream_offsets o SET epoch = :epoch, epoch_from = n.epoch_from, updated_at = now()
FROM unnest(CAST(:partitions AS int[]), CAST(:offsets AS bigint[])) AS n (partition, epoch_from)
WHERE o.stream = :stream AND o.topic = :topic AND o.partition = n.partition
""")
_ADOPT = text("""
UPDATE rag.stream_offsets SET topic_id = :topic_id WHERE stream = :stream AND topic = :topic AND topic_id = ''
""")
