"""Answers from retrieved passages, with citations that hold."""

from rag_core.answering.base import (
    Abstained,
    Abstention,
    Answered,
    Answerer,
    AnswerEvent,
    Citation,
    Delta,
    Excerpt,
    Outcome,
    Question,
    check_citations,
    check_evidence,
)
from rag_core.answering.evidence import Span, highlights, query_terms
from rag_core.answering.fingerprint import answerer_fingerprint
from rag_core.answering.opening import open_answerer

__all__ = [
    "Abstained",
    "Abstention",
    "AnswerEvent",
    "Answered",
    "Answerer",
    "Citation",
    "Delta",
    "Excerpt",
    "Outcome",
    "Question",
    "Span",
    "answerer_fingerprint",
    "check_citations",
    "check_evidence",
    "highlights",
    "open_answerer",
    "query_terms",
]
