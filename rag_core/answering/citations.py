"""Citations: spans of retrieved passages that an answer rests on, and the last check before they leave."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rag_core.errors import RagError, Reason
from rag_core.retrieval.index import SearchHit


@dataclass(frozen=True, slots=True)
class Citation:
    """The evidence of marker `[number]`: `[start, end)` in the text of the document of passage `rank`.

    Ranks count through the question's hits and then through `Answered.evidence`.
    """

    number: int
    rank: int
    start: int
    end: int
    quote: str


def cite(hit: SearchHit, *, number: int, rank: int, start: int, end: int) -> Citation:
    """A citation of `hit.payload.text[start:end]`, moved to the coordinates of the document.

    Raises `ValueError` when the span is empty or leaves the passage: a bug of the answerer, never bad input.
    """
    payload = hit.payload
    if not 0 <= start < end <= len(payload.text):
        raise ValueError(f"span [{start}, {end}) is not within the passage")
    return Citation(number, rank, payload.start + start, payload.start + end, payload.text[start:end])


def check_evidence(evidence: Sequence[SearchHit], read: Collection[uuid.UUID]) -> None:
    """Raise `RagError` (`CITATION_INVALID`) unless the answerer was given each passage; `read` are chunk ids."""
    if any(hit.chunk_id not in read for hit in evidence):
        raise RagError(Reason.CITATION_INVALID, "the answer cited what was not retrieved; ask again")


def check_citations(citations: Sequence[Citation], hits: Sequence[SearchHit]) -> None:
    """Raise `RagError` (`CITATION_INVALID`) unless the numbers run from 1 and every quote is its span's own text.

    `hits` are those of the question with the answer's `evidence` behind them.
    """
    for expected, citation in enumerate(citations, start=1):
        if citation.number != expected or not 0 <= citation.rank < len(hits) or not _holds(citation, hits):
            raise RagError(Reason.CITATION_INVALID, "the answer cited what was not retrieved; ask again")


def _holds(citation: Citation, hits: Sequence[SearchHit]) -> bool:
    payload = hits[citation.rank].payload
    start, end = citation.start - payload.start, citation.end - payload.start
    return 0 <= start < end <= len(payload.text) and payload.text[start:end] == citation.quote
