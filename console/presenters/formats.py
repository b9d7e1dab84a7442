"""Numbers, times and text formatted for display."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, tzinfo

Translate = Callable[..., str]
_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_NUMBERS = (("G", 1e9), ("M", 1e6), ("k", 1e3))
_SIZES = (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def is_trace_id(request_id: str) -> bool:
    """Return whether a request was recorded as a trace, whose id it then has; the id of any other has hyphens."""
    return _TRACE_ID.fullmatch(request_id) is not None


def number(value: float) -> str:
    """A count: exact below ten thousand, then with three figures (12.3 k, 4.56 M)."""
    if abs(value) < 1e4:
        return f"{value:,.0f}"
    unit, factor = next((unit, factor) for unit, factor in _NUMBERS if abs(value) >= factor)
    scaled = value / factor
    digits = 0 if abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
    text = f"{scaled:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def size(value: float) -> str:
    """Bytes in binary units."""
    if value < 1024:
        return f"{value:,.0f} B"
    unit, factor = next((unit, factor) for unit, factor in _SIZES if value >= factor)
    return f"{value / factor:,.1f} {unit}"


def duration(seconds: float, t: Translate) -> str:
    """A length of time: 0.4 s, 75 s, 12 min, 3 h 20 min."""
    if seconds < 10:
        return t("{count} s", count=f"{seconds:.1f}")
    if seconds < 2 * _MINUTE:
        return t("{count} s", count=f"{seconds:.0f}")
    if seconds < 2 * _HOUR:
        return t("{count} min", count=f"{seconds / _MINUTE:.0f}")
    hours, rest = divmod(int(seconds), _HOUR)
    if hours >= 48:
        return t("{count} d", count=f"{seconds / _DAY:.0f}")
    whole = t("{count} h", count=hours)
    return f"{whole} {t('{count} min', count=rest // _MINUTE)}" if rest >= _MINUTE else whole


def ago(seconds: float, now: float, t: Translate) -> str:
    """Return the time before `now` in words."""
    past = max(0.0, now - seconds)
    if past < 5:
        return t("just now")
    return t("{time} ago", time=duration(past, t).replace(".0", ""))


def clock(seconds: float, zone: tzinfo) -> str:
    """A moment in a time zone, with the zone's own abbreviation."""
    return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M:%S %Z}"


def plain(text: str) -> str:
    """Text with every character that could steer a display (controls, bidirectional overrides) written out."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in text)
