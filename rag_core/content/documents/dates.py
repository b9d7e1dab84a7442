"""The date of a document, as the document or its source says it: front matter, `Last-Modified`, other metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

FIELDS: Final = (
    *("updated", "last_updated", "lastmod", "modified", "date", "published", "pubdate", "created"),
    *("creation_date", "last_modified"),
)
"""Names of metadata with a date, whatever case and dashes, the one that says most of its age first. A server's
`Last-Modified` comes last: of a generated page it is the time at which it was generated."""
_MAX_CHARS: Final = 64
_MONTH: Final = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2}))?")
_PDF: Final = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
_OFFSET: Final = re.compile(r" (?=[+-]\d\d)")


def document_date(metadata: Mapping[str, str]) -> datetime | None:
    """Return the date of a document, in UTC; `None` when nothing says it."""
    named = {name.lower().replace("-", "_").replace(" ", "_"): value for name, value in metadata.items()}
    dates = (parse_date(named[name]) for name in FIELDS if name in named)
    return next((date for date in dates if date is not None), None)


@lru_cache(maxsize=4096)
def parse_date(text: str) -> datetime | None:
    """Read an ISO date or time, a date of HTTP or of a PDF, or a year and month; `None` for anything else."""
    text = text.strip()[:_MAX_CHARS]
    for read in (_iso, _http, _month):
        found = read(text)
        if found is not None:
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_OFFSET.sub("", text))
    except (ValueError, OverflowError):
        return None


def _http(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _month(text: str) -> datetime | None:
    match = _MONTH.fullmatch(text) or _PDF.match(text)
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3] or 1), tzinfo=UTC) if match else None
    except ValueError:
        return None
