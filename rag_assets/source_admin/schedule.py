"""The next times of a source's schedule."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter

from rag_assets.source_config import ScheduleConfig


def next_times(schedule: ScheduleConfig, count: int = 3) -> list[datetime]:
    """The next times, in the time zone of the schedule."""
    times = croniter(schedule.cron, datetime.now(ZoneInfo(schedule.timezone)))
    return [times.get_next(datetime) for _ in range(count)]
