"""Documents: filters, rows, why one can be found or not, its chunks over its text, its readers and its history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from console.i18n import N_
from console.presenters.answers import source_filter
from console.presenters.formats import plain, size
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2

STATES = N_(
    {
        ops.DOCUMENT_STATE_SEARCHABLE: "searchable",
        ops.DOCUMENT_STATE_PENDING: "waiting for the index",
        ops.DOCUMENT_STATE_DELETED: "deleted at the source",
        ops.DOCUMENT_STATE_WITHOUT_ACL: "no ACL: nobody may read it",
        ops.DOCUMENT_STATE_QUARANTINED: "in quarantine",
        ops.DOCUMENT_STATE_SKIPPED: "skipped",
    }
)
MARKS = {
    ops.DOCUMENT_STATE_SEARCHABLE: "✔",
    ops.DOCUMENT_STATE_PENDING: "…",
    ops.DOCUMENT_STATE_DELETED: "■",
    ops.DOCUMENT_STATE_WITHOUT_ACL: "✖",
    ops.DOCUMENT_STATE_QUARANTINED: "✖",
    ops.DOCUMENT_STATE_SKIPPED: "⏭",
}
FILTERS = {
    "searchable": ops.DOCUMENT_STATE_SEARCHABLE,
    "pending": ops.DOCUMENT_STATE_PENDING,
    "quarantined": ops.DOCUMENT_STATE_QUARANTINED,
    "skipped": ops.DOCUMENT_STATE_SKIPPED,
    "without_acl": ops.DOCUMENT_STATE_WITHOUT_ACL,
    "deleted": ops.DOCUMENT_STATE_DELETED,
}
"""States by their word in the address of the page."""
ANY_STATE = "any"
"""Asks for deleted documents too, which are left out without it."""
ORDERS = N_(
    {
        "newest": (ops.DOCUMENT_ORDER_UNSPECIFIED, "Newest first"),
        "oldest": (ops.DOCUMENT_ORDER_OLDEST, "Oldest first"),
        "name": (ops.DOCUMENT_ORDER_LOCATOR, "By name"),
        "size": (ops.DOCUMENT_ORDER_LARGEST, "Largest first"),
    }
)
PERIODS = N_(
    {
        "any": (None, "Any time"),
        "hour": (timedelta(hours=1), "Last hour"),
        "day": (timedelta(days=1), "Last 24 hours"),
        "week": (timedelta(days=7), "Last 7 days"),
        "month": (timedelta(days=30), "Last 30 days"),
        "dates": (None, "Between two days"),
    }
)

# --------------------------------------------------------------------------------------------------------------------
# What is asked for.


@dataclass(frozen=True, slots=True)
class DocumentSearch:
    """A person's search; empty values let everything pass."""

    text: str = ""
    source: str = ""
    state: str = ""
    media_type: str = ""
    order: str = "newest"
    since: datetime | None = None
    until: datetime | None = None

    def as_list(self) -> dict[str, Any]:
        """The fields of a request for a page of the list."""
        fields: dict[str, Any] = {
            "text": self.text,
            "source": self.source,
            "state": FILTERS.get(self.state, ops.DOCUMENT_STATE_UNSPECIFIED),
            "exclude_deleted": not self.state,
            "media_type": self.media_type,
            "order": ORDERS[self.order][0],
        }
        times = {"changed_from": self.since, "changed_before": self.until}
        return fields | {name: _timestamp(moment) for name, moment in times.items() if moment is not None}

    def as_search(self, top_k: int) -> query_pb2.SearchRequest:
        """The request for the best passage of each document, narrowed to the same documents."""
        by_source = source_filter([self.source] if self.source else [], "")
        parts = [by_source] if by_source is not None else []
        if self.media_type:
            parts.append(query_pb2.Filter(eq=query_pb2.Filter.Eq(field="media_type", value=self.media_type)))
        if self.since is not None or self.until is not None:
            span = query_pb2.Filter.TimeRange(field="updated_at")
            if self.since is not None:
                span.gte.CopyFrom(_timestamp(self.since))
            if self.until is not None:
                span.lt.CopyFrom(_timestamp(self.until))
            parts.append(query_pb2.Filter(time=span))
        narrowed = query_pb2.Filter(all=query_pb2.Filter.Group(conditions=parts)) if parts else None
        return query_pb2.SearchRequest(query=self.text, top_k=top_k, max_per_document=1, filter=narrowed)


def heading_path(headings: Sequence[str], text: str) -> str:
    """The headings that a chunk stands under, without the one that its own text begins with."""
    begins = bool(headings) and text.partition("\n")[0].strip() == headings[-1]
    return plain(" › ".join(headings[:-1] if begins else headings))


def span_of(period: str, days: Sequence[date], now: datetime, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when and until when a period lasts; `days` are the first and the last one, both included."""
    if period == "dates":
        chosen = [datetime.combine(day, time(), zone).astimezone(UTC) for day in days]
        if len(chosen) == 2:
            return chosen[0], chosen[1] + timedelta(days=1)
        return (chosen[0], None) if chosen else (None, None)
    length = PERIODS[period][0] if period in PERIODS else None
    return (now - length if length is not None else None), None


def _timestamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


# --------------------------------------------------------------------------------------------------------------------
# Rows.


def document_rows(documents: Iterable[ops.DocumentRow]) -> list[dict[str, Any]]:
    """One row per document."""
    return [
        {
            "locator": plain(item.locator),
            "title": plain(item.title),
            "source": item.source,
            "state": STATES.get(item.state, "unknown"),
            "mark": MARKS.get(item.state, "•"),
            "media_type": item.media_type,
            "bytes": item.bytes,
            "version": item.version,
            "at": item.updated_at.seconds,
            "doc_id": item.doc_id,
            "quarantine_id": item.quarantine_id,
        }
        for item in documents
    ]


def passage_rows(passages: Iterable[query_pb2.Passage]) -> list[dict[str, Any]]:
    """One row per document that a search found, the best first, with its best passage."""
    return [
        {
            "locator": plain(item.locator),
            "title": plain(item.title),
            "source": item.source,
            "score": item.score,
            "text": plain(item.text),
            "doc_id": item.doc_id,
            "start": item.start,
            "end": item.end,
        }
        for item in passages
    ]


def counted(counts: ops.DocumentCounts) -> str:
    """Return how many documents match, exactly or at least."""
    return f"{counts.documents:,}{'+' if counts.more else ''}"


# --------------------------------------------------------------------------------------------------------------------
# One document.


@dataclass(frozen=True, slots=True)
class VisibilityReason:
    """One thing that decides whether a document can be found: a sentence with its values."""

    good: bool
    sentence: str
    values: tuple[tuple[str, object], ...] = ()


def reasons(inspected: ops.InspectDocumentResponse) -> list[VisibilityReason]:
    """Return why a document can be found or not, what stands in the way first."""
    state = inspected.document.state
    if state == ops.DOCUMENT_STATE_DELETED:
        return [VisibilityReason(False, "It was deleted; nothing but its name is kept.")]
    made = []
    if inspected.quarantine.id:
        if inspected.quarantine.skipped:
            sentence = N_("Its newest content was discarded ({reason}): it stays out until it changes.")
        else:
            sentence = N_("Its newest content could not be used ({reason}, {attempts} attempts).")
        values = (("reason", inspected.quarantine.reason), ("attempts", inspected.quarantine.attempts))
        made.append(VisibilityReason(False, sentence, values))
    if not inspected.acl:
        made.append(
            VisibilityReason(False, "Its source gave it no readers and has no default for them: nobody may read it.")
        )
    if inspected.revocation_pending:
        made.append(
            VisibilityReason(False, "A permission ended. Searches leave it out until the index has applied that.")
        )
    active = [item for item in inspected.generations if item.state == "active"]
    if not active:
        made.append(VisibilityReason(False, "No generation is active, so nothing can be found."))
    made += [_indexed(inspected, item) for item in active]
    if inspected.change_pending:
        made.append(VisibilityReason(True, "A newer change was pushed and is being applied."))
    if inspected.copies:
        names = ", ".join(map(plain, inspected.copies))
        made.append(
            VisibilityReason(
                True, "The same text is in {names} too: each copy is found by itself.", (("names", names),)
            )
        )
    missing = sum(not chunk.embedded for chunk in inspected.chunks)
    if missing:
        made.append(VisibilityReason(False, "{count} chunks have no vector yet.", (("count", missing),)))
    return sorted(made, key=lambda reason: reason.good)


def _indexed(inspected: ops.InspectDocumentResponse, item: ops.GenerationVersion) -> VisibilityReason:
    version = inspected.document.version
    values = (("generation", item.generation), ("version", item.indexed_version), ("current", version))
    if item.indexed_version == version:
        return VisibilityReason(True, "The active generation {generation} has version {version}, the newest.", values)
    if item.indexed_version:
        text = N_("The active generation {generation} still has version {version}; {current} waits for the next run.")
        return VisibilityReason(False, text, values)
    return VisibilityReason(False, "Version {current} waits for the next run, which writes it to the active generation"
                  " {generation}.", values)  # fmt: skip


def readers(inspected: ops.InspectDocumentResponse) -> list[tuple[str, str]]:
    """Return who may read a document, as sentences with the name that belongs into each."""
    words = N_({"user": "The user {name}", "group": "Everyone in the group {name}", "deny": "But not {name}"})
    made = []
    for entry in sorted(inspected.acl, key=lambda entry: entry.startswith("deny:")):
        kind, _, name = entry.partition(":")
        if entry == "everyone":
            made.append((N_("Everyone in the tenant"), ""))
        elif kind in words:
            made.append((words[kind], plain(name)))
        else:
            made.append((N_("Whom a directory knows as {name}"), plain(entry)))
    return made


@dataclass(frozen=True, slots=True)
class TextPiece:
    """A part of a document's text: a chunk, or with `chunk=None` what stands between chunks."""

    text: str
    chunk: ops.ChunkSpan | None


def pieces(inspected: ops.InspectDocumentResponse) -> list[TextPiece]:
    """The text in order, cut where chunks begin and end; what two chunks share is shown in both."""
    made, place = [], 0
    for chunk in inspected.chunks:
        between = inspected.text[place : chunk.start]
        if between.strip():
            made.append(TextPiece(plain(between.strip("\n")), None))
        made.append(TextPiece(plain(inspected.text[chunk.start : chunk.end]), chunk))
        place = max(place, chunk.end)
    rest = inspected.text[place:]
    if rest.strip():
        made.append(TextPiece(plain(rest.strip("\n")), None))
    return made


EVENTS = N_(
    {
        ops.DOCUMENT_EVENT_KIND_STORED: "Stored for the first time",
        ops.DOCUMENT_EVENT_KIND_CHANGED: "Changed: version {version}",
        ops.DOCUMENT_EVENT_KIND_INDEXED: "Version {version} was written to the generation {detail}",
        ops.DOCUMENT_EVENT_KIND_DELETED: "Deleted",
        ops.DOCUMENT_EVENT_KIND_QUARANTINED: "Could not be used: {detail} ({times} attempts)",
        ops.DOCUMENT_EVENT_KIND_PUSHED: "A change was pushed: {detail}",
        ops.DOCUMENT_EVENT_KIND_CITED: "Cited by a rated answer, the last of {times}",
        ops.DOCUMENT_EVENT_KIND_ACTION: "Action: {detail}",
    }
)


def history_rows(inspected: ops.InspectDocumentResponse, t: Callable[..., str]) -> list[dict[str, Any]]:
    """Return the history as rows, newest first."""
    rows = []
    for event in inspected.history:
        sentence = EVENTS.get(event.kind)
        if sentence is None:  # of a newer server
            continue
        values = {"version": event.version, "detail": plain(event.detail), "times": event.times}
        said = t(sentence, **{name: value for name, value in values.items() if f"{{{name}}}" in sentence})
        rows.append({"at": event.at.seconds, "event": said, "actor": plain(event.actor), "run": event.run_id})
    return rows


def facts(inspected: ops.InspectDocumentResponse) -> list[tuple[str, str]]:
    """Return what is known of a document, by label."""
    return [
        ("Source", inspected.document.source),
        ("Type", inspected.media_type or "–"),
        ("Language", inspected.language or "–"),
        ("Size", size(inspected.bytes)),
        ("Version", str(inspected.document.version)),
        ("Chunks", str(len(inspected.chunks))),
        (N_("Cited"), str(inspected.cited)),
    ]
