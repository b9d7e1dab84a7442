"""The state of a source in the reader's language. The platform decides the state; nothing is decided here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from console.i18n import ENGLISH, explain_reason
from console.presenters.formats import Translate, duration, number
from ragproto.admin.v1 import admin_pb2 as pb

S = pb.SourceState
MARKS = {
    S.SOURCE_STATE_NEW: "○",
    S.SOURCE_STATE_LISTING: "▶",
    S.SOURCE_STATE_EMBEDDING: "▶",
    S.SOURCE_STATE_INDEXING: "▶",
    S.SOURCE_STATE_WAITING: "…",
    S.SOURCE_STATE_UP_TO_DATE: "✔",
    S.SOURCE_STATE_STALE: "✖",
    S.SOURCE_STATE_DEGRADED: "⚠",
    S.SOURCE_STATE_FAILED: "✖",
    S.SOURCE_STATE_PAUSED: "‖",
    S.SOURCE_STATE_HELD: "⚠",
}
UNDER_WAY = frozenset({S.SOURCE_STATE_LISTING, S.SOURCE_STATE_EMBEDDING, S.SOURCE_STATE_INDEXING,
                       S.SOURCE_STATE_WAITING})  # fmt: skip
UNKNOWN = "unknown"
_COMMAND = re.compile(r"`[^`]+`")
_CAUSE = re.compile(r"(?=(?:^|: |; )([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|UNREADABLE|VANISHED|ENCRYPTED|INTERNAL): (.+))")
_WAITS_FOR_PEOPLE = frozenset({"CONFIG_INVALID", "MASS_DELETE_HELD", "QUOTA_EXCEEDED", "EGRESS_FORBIDDEN"})
"""Causes that no further try ends."""


def sentence(condition: pb.SourceCondition, t: Translate, at: Callable[[float], str]) -> str:
    """The state in one line; `at` writes a moment in the reader's time zone."""
    return t(
        condition.sentence or UNKNOWN, count=number(condition.count), percent=condition.percent,
        left=duration(condition.seconds_left, t), ahead=condition.ahead, reason=condition.reason,
        since=at(condition.since.seconds) if condition.HasField("since") else "–",
    )  # fmt: skip


def marked(condition: pb.SourceCondition, t: Translate, at: Callable[[float], str]) -> str:
    """The state with its mark."""
    return f"{MARKS.get(condition.state, '•')} {sentence(condition, t, at)}"


def headline(source: pb.SourceStatus, t: Translate, language: str) -> str:
    """Say what is wrong with a source as a person would: the cause, what still works, what happens next."""
    condition = source.condition
    code, said = innermost(condition.reason, condition.message)
    cause = explain_reason(language, code).partition("。")[0] if language != ENGLISH else said
    parts = [_closed(cause or said or code)]
    if source.searchable:
        parts.append(t("{count} documents stay searchable.", count=number(source.searchable)))
    if condition.HasField("failing_since") and condition.reason not in _WAITS_FOR_PEOPLE:
        parts.append(t("It is tried again by itself."))
    return " ".join(parts)


def trouble(source: pb.SourceStatus, t: Translate, at: Callable[[float], str], language: str) -> str:
    """Say why a source is listed: the cause where it has one, else its state."""
    said = headline(source, t, language) if source.condition.message else sentence(source.condition, t, at)
    return said[:1].upper() + said[1:]


def innermost(code: str, message: str) -> tuple[str, str]:
    """The reason code and the words of the cause that a message ends with: `…: CODE: the words`."""
    found = list(_CAUSE.finditer(message))
    return (found[-1][1], found[-1][2]) if found else (code, message)


def _closed(text: str) -> str:
    """Text as a sentence."""
    text = text.strip().rstrip(".。")
    stop = "。" if "\u3000" <= text[-1:] <= "\u9fff" else "."
    return f"{text[:1].upper()}{text[1:]}{stop}"


def remedy(condition: pb.SourceCondition, language: str) -> str:
    """Return what to do about the state: the platform's words, or in another language what the reason code says and the
    commands that the platform names."""
    said = explain_reason(language, condition.reason, in_run=True)
    commands = _COMMAND.findall(condition.remedy) if language != ENGLISH else []
    missing = [command for command in commands if command not in said]
    return " ".join(filter(None, [said, *missing])) or condition.remedy


def bringing_up_to_date(sources: Iterable[pb.SourceStatus]) -> list[str]:
    """Names of sources that are not yet, or not wholly, searchable and need nobody."""
    return [item.name for item in sources if item.condition.state in UNDER_WAY and not item.condition.needs_attention]
