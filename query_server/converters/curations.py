"""Messages of curations."""

from __future__ import annotations

from query_server.converters.feedback import to_doc_id
from query_server.converters.fields import message_of, to_moment
from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.curation import Applied, Curation, CurationAction, CurationDraft
from ragproto.query.v2 import curation_pb2 as pb

ACTIONS = {
    CurationAction.ANSWER: pb.CURATION_ACTION_ANSWER,
    CurationAction.PIN: pb.CURATION_ACTION_PIN,
    CurationAction.BOOST: pb.CURATION_ACTION_BOOST,
    CurationAction.HIDE: pb.CURATION_ACTION_HIDE,
}
_NAMED = {number: action for action, number in ACTIONS.items()}


def to_draft(message: pb.Curation) -> CurationDraft:
    """A curation to save. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if message.action not in _NAMED:
        raise InvalidInput(Reason.FIELD_INVALID, "action: must be ANSWER, PIN, BOOST or HIDE")
    return CurationDraft(
        tuple(message.questions),
        _NAMED[message.action],
        message.answer,
        to_doc_id("doc_id", message.doc_id) if message.doc_id else None,
        tuple(message.acl),
        message.owner,
        to_moment(message, "ends_at"),
    )


def from_curation(curation: Curation) -> pb.Curation:
    """A stored curation."""
    doc_id = str(curation.doc_id) if curation.doc_id else ""
    return message_of(pb.Curation, curation, action=ACTIONS[curation.action], doc_id=doc_id)


def from_applied(applied: Applied) -> pb.AppliedCuration:
    """A curation that counted."""
    own = applied.curation
    return message_of(pb.AppliedCuration, own, action=ACTIONS[own.action], question=applied.question)
