"""Ratings of answers, from callers (query.v2) and from operators (admin.v1)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from rag_core.answering import evaluation
from rag_core.errors import InvalidInput, Reason
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2

if TYPE_CHECKING:
    from rag_core.answering.evaluation import Judgement, Rating


def to_judgement(message: ops.RateAnswerRequest | v2.SendFeedbackRequest) -> Judgement:
    """Raises `InvalidInput` (`FIELD_INVALID`) for an id that is none, and for feedback that does not say which."""
    return evaluation.Judgement(
        question=message.question,
        answer=message.answer,
        good=message.good if isinstance(message, ops.RateAnswerRequest) else _helpful(message),
        comment=message.comment,
        generation=message.generation,
        citations=[
            {
                "doc_id": str(to_doc_id("citations", item.doc_id)),
                "version": item.version,
                "start": item.start,
                "end": item.end,
            }
            for item in message.citations
        ],
        right_doc_id=to_doc_id("right_doc_id", message.right_doc_id) if message.right_doc_id else None,
    )


def _helpful(message: v2.SendFeedbackRequest) -> bool:
    if not message.HasField("helpful"):
        raise InvalidInput(Reason.FIELD_INVALID, "helpful: must be given, true or false")
    return message.helpful


def to_doc_id(field: str, value: str) -> uuid.UUID:
    """Raises `InvalidInput` (`FIELD_INVALID`)."""
    try:
        return uuid.UUID(value)
    except ValueError:
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: must be a UUID") from None


def from_rating(rating: Rating) -> ops.Rating:
    """A stored rating."""
    said = rating.judgement
    right = str(said.right_doc_id) if said.right_doc_id else ""
    return message_of(ops.Rating, rating, judgement=message_of(ops.RateAnswerRequest, said, right_doc_id=right))
