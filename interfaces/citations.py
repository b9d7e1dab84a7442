"""Citations in the shapes that clients know: `annotations` of a message, a list with everything we know, and the
outcome of an answer in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ragproto.query.v2 import query_pb2 as pb

_MARKER = re.compile(r"\[(\d{1,4})\]")
Cited = dict[str, Any]


def from_citation(citation: pb.Citation) -> Cited:
    """One entry of `citations`."""
    return {"number": citation.number, **_place(citation), "quote": citation.quote}


def from_passage(number: int, passage: pb.Passage) -> Cited:
    """A retrieved passage as an entry of `citations`."""
    return {"number": number, **_place(passage), "quote": passage.text, "score": passage.score}


def annotate(text: str, citations: Iterable[Cited]) -> list[dict[str, Any]]:
    """Return an annotation for each marker [n] that refers to a citation, with its place in the text."""
    by_number: Mapping[int, Cited] = {cited["number"]: cited for cited in citations}
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": found.start(),
                "end_index": found.end(),
                "title": cited["title"] or cited["locator"],
                "url": cited["url"],
            },
        }
        for found in _MARKER.finditer(text)
        if (cited := by_number.get(int(found.group(1)))) is not None
    ]


def url_of(doc_id: str, locator: str) -> str:
    """Return the URL of a document: its own address, or the one that the MCP server reads."""
    return locator if locator.startswith(("https://", "http://")) else f"rag://documents/{doc_id}"


def page_word(one: pb.Citation | pb.Passage) -> str:
    """Return what the page is called, page, slide or sheet; empty without one."""
    return pb.PageKind.Name(one.page_kind).removeprefix("PAGE_KIND_").lower() if one.page_kind else ""


def _place(one: pb.Citation | pb.Passage) -> Cited:
    return {
        "doc_id": one.doc_id,
        "chunk_id": one.chunk_id,
        "version": one.version,
        "source": one.source,
        "locator": one.locator,
        "title": one.title,
        "url": url_of(one.doc_id, one.locator),
        "page": one.page,
        "page_kind": page_word(one),
        "heading_path": list(one.heading_path),
        "start": one.start,
        "end": one.end,
    }


NOT_ANSWERED = "The sources that you may read do not answer this question."
_NAMES = {
    pb.ANSWER_OUTCOME_ANSWERED: "answered",
    pb.ANSWER_OUTCOME_CLOSEST_PASSAGES: "closest_passages",
    pb.ANSWER_OUTCOME_NOT_FOUND: "not_found",
}


def outcome_of(final: pb.AnswerFinal) -> str:
    """`answered`, `closest_passages` (not sure: the text shows the nearest places) or `not_found`."""
    return _NAMES.get(final.answer_outcome, "answered" if final.HasField("answered") else "not_found")
