"""Trace spans of the legs of a search, the same for every engine."""

from __future__ import annotations

from rag_tracing import CLIENT, Span, span


def leg(name: str, candidates: int) -> Span:
    """The block of one leg of a search, within a trace."""
    found = {"db.system.name": "qdrant", "db.operation.name": "query", "rag.leg": name, "rag.candidates": candidates}
    return span(f"{name} leg", found, CLIENT)


def returned(block: Span, rows: int) -> None:
    """Record how many candidates a leg gave."""
    block.set({"db.response.returned_rows": rows})
