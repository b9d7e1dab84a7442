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
