"""Filters that the words of a question name: a source, a value of metadata, a time. They are suggested, not applied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rag_core.content.documents import METADATA_PREFIX, Condition, FieldTypes, In, NumberRange, TimeRange
from rag_core.settings import FieldType

MAX_SUGGESTED: Final = 3
MAX_WORDS: Final = 5
"""Words of the longest value that is recognised."""
_WORD: Final = re.compile(r"\w[\w.-]*")
_CUE: Final = re.compile(r"\b(?:from|in|by|within|under|of|for|at)\s+(?:the\s+|our\s+)?(?=\w)", re.IGNORECASE)
_CUE_ZH: Final = re.compile(r"来自|属于|[从在](?=\w)")
_MAX_CHARS_ZH: Final = 12
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_YEAR: Final = re.compile(r"(?<![\w.])((?:19|20)\d\d)(?![\w.]|-\d)")
_RELATIVE: Final = (
    (re.compile(r"\btoday\b|今天", re.IGNORECASE), "day", 0),
    (re.compile(r"\byesterday\b|昨天", re.IGNORECASE), "day", 1),
    (re.compile(r"\bthis week\b|本周|这周", re.IGNORECASE), "week", 0),
    (re.compile(r"\blast week\b|上周", re.IGNORECASE), "week", 1),
    (re.compile(r"\bthis month\b|本月|这个月", re.IGNORECASE), "month", 0),
    (re.compile(r"\blast month\b|上个?月", re.IGNORECASE), "month", 1),
    (re.compile(r"\bthis year\b|今年", re.IGNORECASE), "year", 0),
    (re.compile(r"\blast year\b|去年", re.IGNORECASE), "year", 1),
)
Values = Mapping[str, Sequence[tuple[str, str]]]
"""Fields and values by the value as a question would write it (`normal`)."""


@dataclass(frozen=True, slots=True)
class SuggestedFilter:
    """A condition, the words of the question that name it, and how it reads: a field and a value of it."""

    condition: Condition
    words: str
    field: str
    value: str


def normal(value: str) -> str:
    """A value as it is compared with words: without case, dashes and underscores."""
    return " ".join(re.split(r"[-_\s]+", value.casefold().strip()))


def suggest(text: str, values: Values, fields: FieldTypes, now: datetime | None = None) -> list[SuggestedFilter]:
    """Return the filters that a question names, each field once. `fields` are the declared ones of metadata."""
    found: dict[str, SuggestedFilter] = {}
    for one in (*_named(text, values, fields), *_times(text, fields, now or datetime.now(UTC))):
        found.setdefault(one.field, one)
    return list(found.values())[:MAX_SUGGESTED]


def _named(text: str, values: Values, fields: FieldTypes) -> Iterator[SuggestedFilter]:
    """Values behind a word such as `from`, and years."""
    for words in (*_phrases(text), *_YEAR.findall(text)):
        for field, value in values.get(normal(words), ()):
            condition = _equal(field, value, fields)
            if condition is not None:
                yield SuggestedFilter(condition, words, field, value)


def _phrases(text: str) -> Iterator[str]:
    """The words behind each cue, the longest run first."""
    for cue in _CUE.finditer(text):
        ends = [word.end() for word, _ in zip(_WORD.finditer(text, cue.end()), range(MAX_WORDS), strict=False)]
        yield from (text[cue.end() : end] for end in reversed(ends))
    for cue in _CUE_ZH.finditer(text):
        yield from (text[cue.end() : cue.end() + count] for count in range(_MAX_CHARS_ZH, 0, -1))


def _equal(field: str, value: str, fields: FieldTypes) -> Condition | None:
    kind = fields.get(field.removeprefix(METADATA_PREFIX), FieldType.KEYWORD)
    if kind is FieldType.KEYWORD:
        return In(field, (value,))
    if kind is FieldType.NUMBER and _NUMBER.fullmatch(value):
        return NumberRange(field, gte=float(value), lte=float(value))
    return None


def _times(text: str, fields: FieldTypes, now: datetime) -> Iterator[SuggestedFilter]:
    """A year, of a declared time; and last month and the like, of one or else of the last change."""
    declared = next((f"{METADATA_PREFIX}{name}" for name in sorted(fields) if fields[name] is FieldType.TIME), "")
    for year in _YEAR.findall(text) if declared else ():
        first, end = datetime(int(year), 1, 1, tzinfo=UTC), datetime(int(year) + 1, 1, 1, tzinfo=UTC)
        yield SuggestedFilter(TimeRange(declared, first, end), year, declared, year)
    for pattern, unit, back in _RELATIVE:
        match = pattern.search(text)
        if match is not None:
            first, end = _range(now, unit, back)
            last = end - timedelta(days=1)
            field = declared or "updated_at"
            yield SuggestedFilter(TimeRange(field, first, end), match[0], field, f"{first:%F} to {last:%F}")


def _range(now: datetime, unit: str, back: int) -> tuple[datetime, datetime]:
    """The day, week, month or year of now, or the one before."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "day":
        first = day - timedelta(days=back)
        return first, first + timedelta(days=1)
    if unit == "week":
        first = day - timedelta(days=day.weekday() + 7 * back)
        return first, first + timedelta(days=7)
    months = day.year * 12 + day.month - 1 - back if unit == "month" else (day.year - back) * 12
    after = months + (1 if unit == "month" else 12)
    return _month(months), _month(after)


def _month(months: int) -> datetime:
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
