"""The outcome of an answer (answered, closest passages, not found) in words."""

from __future__ import annotations

from ragproto.query.v2 import query_pb2 as pb

NOT_ANSWERED = "The sources that you may read do not answer this question."
_NAMES = {
    pb.ANSWER_OUTCOME_ANSWERED: "answered",
    pb.ANSWER_OUTCOME_CLOSEST_PASSAGES: "closest_passages",
    pb.ANSWER_OUTCOME_NOT_FOUND: "not_found",
}


def outcome_of(final: pb.AnswerFinal) -> str:
    """`answered`, `closest_passages` (not sure: the text shows the nearest places) or `not_found`."""
    return _NAMES.get(final.answer_outcome, "answered" if final.HasField("answered") else "not_found")
