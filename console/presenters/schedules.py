"""Schedules: what is wrong with a cron expression, the expression in words, and its next times."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cron_descriptor import FormatError, Options, get_description
from croniter import croniter
from croniter.croniter import CroniterError

from console.i18n import N_

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_FIELDS = 5
_NAMES = {
    "Monday": "星期一", "Tuesday": "星期二", "Wednesday": "星期三", "Thursday": "星期四", "Friday": "星期五",
    "Saturday": "星期六", "Sunday": "星期日", "January": "一月", "February": "二月", "March": "三月", "April": "四月",
    "May": "五月", "June": "六月", "July": "七月", "August": "八月", "September": "九月", "October": "十月",
    "November": "十一月", "December": "十二月",
}  # fmt: skip


def cron_problem(expression: str) -> str | None:
    """A sentence on what is wrong, `None` for an expression that Dagster accepts and that happens at all."""
    fields = _expanded(expression)
    if fields is None:
        return N_(
            "A schedule has five fields (minute, hour, day, month, day of the week), or is a name such as @daily."
        )
    try:
        croniter(fields, datetime.now(ZoneInfo("UTC"))).get_next(datetime)
    except (CroniterError, ValueError, KeyError):
        return N_("This schedule never happens: a field is out of range.")
    return None


def cron_words(expression: str, language: str) -> str:
    """A valid expression in words."""
    fields = _expanded(expression) or expression
    options = Options()
    options.locale_code = "zh_CN" if language == "zh" else "en_US"
    options.use_24hour_time_format = True
    options.verbose = fields.split()[1].replace(",", "").isdigit()  # "every day"; "every hour" would be noise
    try:
        words = str(get_description(fields, options))
    except FormatError:
        return fields
    if language == "zh":
        for english, chinese in _NAMES.items():
            words = words.replace(english, chinese)
    return words


def next_times(expression: str, timezone: str, count: int = 3, now: datetime | None = None) -> list[datetime]:
    """The next times of a valid expression in a time zone."""
    start = (now or datetime.now(ZoneInfo("UTC"))).astimezone(ZoneInfo(timezone))
    times = croniter(_expanded(expression) or expression, start)
    return [times.get_next(datetime) for _ in range(count)]


def moment_words(moment: datetime, language: str) -> str:
    """A moment with the day of the week."""
    return (
        f"{moment:%Y-%m-%d} {_NAMES[f'{moment:%A}']} {moment:%H:%M}"
        if language == "zh"
        else f"{moment:%a %Y-%m-%d %H:%M}"
    )


def timezone_known(name: str) -> bool:
    """Return whether a time zone exists."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def _expanded(expression: str) -> str | None:
    fields = MACROS.get(expression.strip(), expression).split()
    return " ".join(fields) if len(fields) == _FIELDS else None
