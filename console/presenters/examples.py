"""Questions that the corpus can answer, made from its headings, and what of it cannot be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from console.presenters.formats import Translate
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2

COUNT = 3
_SAFE = re.compile(r"[\w ,'’?？，、\-]{4,70}")
"""Headings of letters and plain punctuation alone become the label of a button; all others are left out."""
_ASKS = re.compile(
    r"(?:how|what|why|when|where|who|which) (?:do|does|is|are|can|should|to|much|many|long|often)\b", re.IGNORECASE
)
_UNNAMED = {"which", "what", "this", "that", "it", "them"}
_NO_ENGLISH = re.compile(r"how (?:do|can|should) (?:I|we|you) [A-Z][\w-]*")
_ASKS_IN_CHINESE = re.compile(r"如何|怎么|怎样|什么|哪")


def examples(passages: Iterable[query_pb2.Passage], t: Translate) -> list[str]:
    """At most three questions of different documents, headings that ask by themselves first."""
    found: dict[str, tuple[int, str]] = {}
    for item in passages:
        heading = (item.heading_path[-1] if item.heading_path else item.title).strip().lstrip("0123456789. ")
        if not _SAFE.fullmatch(heading):
            continue
        asks = heading.endswith(("?", "？")) or bool(_ASKS.match(heading) or _ASKS_IN_CHINESE.search(heading))
        rank = 1 if not asks else 2 if _asks_nothing(heading) else 0
        if item.doc_id not in found or rank < found[item.doc_id][0]:
            found[item.doc_id] = (rank, _question(heading, t, asks=asks))
    ordered = sorted(found.values(), key=lambda entry: entry[0])
    return list(dict.fromkeys(question for _, question in ordered))[:COUNT]


def _asks_nothing(heading: str) -> bool:
    """Return whether it needs its page: "When to choose which?", or "How do I Redis?", which is no English."""
    plain = heading.rstrip("?？ ")
    return plain.lower().rpartition(" ")[2] in _UNNAMED or bool(_NO_ENGLISH.fullmatch(plain[:1].lower() + plain[1:]))


def _question(heading: str, t: Translate, *, asks: bool) -> str:
    if heading.endswith(("?", "？")):
        return heading
    if asks:
        return f"{heading}？" if re.search(r"[\u4e00-\u9fff]", heading) else f"{heading}?"
    return t("What do the documents say about “{topic}”?", topic=heading)


def gaps(sources: Iterable[admin_pb2.SourceStatus]) -> dict[str, int]:
    """Documents of each source that no question finds: pending, unread or in quarantine."""
    counted = {item.name: item.pending + item.unread + item.quarantined for item in sources}
    return {name: count for name, count in counted.items() if count}
