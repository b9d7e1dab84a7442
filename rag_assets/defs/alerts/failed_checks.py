"""The blocking checks of sources whose newest result is a failure."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

READ_ALL_SECONDS = 1800.0
"""Between two readings of all results; in between those are read that Dagster has an event about."""
_MAX_EVENTS = 1000
"""After more events than this since the last reading, all results are read: that takes no longer."""
_EVENTS = (dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION)


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """The result of a check that failed: its run, and when it was stored, in seconds since 1970."""

    run_id: str
    at: float


class FailedChecks:
    """Reads which checks failed. Lives as long as the process that evaluates the sensor.

    A thousand sources have seven thousand checks, and nearly all passed long ago: reading them all each minute was half
    of the time of the code server.
    """

    def __init__(self) -> None:
        self._failed: dict[dg.AssetCheckKey, FailedCheck] = {}
        self._newest = deque[int](maxlen=2)
        """The newest event at the last two readings. An event may become visible after a newer one, and its result
        after it: so events are read twice."""
        self._all_read = -math.inf

    def read(
        self, instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey]
    ) -> Mapping[dg.AssetCheckKey, FailedCheck]:
        """Return the newest result of each of these checks whose newest result is a failure."""
        storage, now = instance.event_log_storage, time.monotonic()
        newest = storage.get_maximum_record_id() or 0
        evaluated = list(self._evaluated(instance)) if self._newest else []
        whole = now - self._all_read > READ_ALL_SECONDS or len(evaluated) >= _MAX_EVENTS
        asked = set(keys) if whole else set(keys).intersection(evaluated)
        found = storage.get_latest_asset_check_execution_by_key(list(asked))
        self._failed = {key: record for key, record in self._failed.items() if key in keys and key not in asked} | {
            key: FailedCheck(one.run_id, one.create_timestamp)
            for key, one in found.items()
            if key in asked and one.status.value == "FAILED"
        }
        self._newest.append(newest)
        self._all_read = now if whole else self._all_read
        return self._failed

    def _evaluated(self, instance: dg.DagsterInstance) -> Iterator[dg.AssetCheckKey]:
        """The checks of events since the reading before the last one."""
        for kind in _EVENTS:
            after = dg.EventRecordsFilter(kind, after_cursor=self._newest[0])
            for record in instance.event_log_storage.get_event_records(after, limit=_MAX_EVENTS):
                event = record.event_log_entry.dagster_event
                if event is not None:
                    yield _key(event)


def _key(event: dg.DagsterEvent) -> dg.AssetCheckKey:
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return event.asset_check_evaluation_data.asset_check_key
    planned = event.asset_check_planned_data
    return dg.AssetCheckKey(planned.asset_key, planned.check_name)
