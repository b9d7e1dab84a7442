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
    Message,
    Outcome,
    Question,
    Role,
    StandaloneBy,
    StandaloneQuestion,
    Tokens,
    check_citations,
    check_evidence,
)
from rag_core.answering.conversation import carry_over
from rag_core.answering.evidence import Span, highlights, query_terms
from rag_core.answering.fingerprint import answerer_fingerprint
from rag_core.answering.opening import open_answerer
from rag_core.answering.retrieval import MIN_RETRIEVED, IndexReader, in_documents, in_reading_order
