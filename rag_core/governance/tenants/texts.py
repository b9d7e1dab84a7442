"""Every column that can hold text, by whose text it is; and for what users leave behind, how and how long it is kept.

A test compares the list with the schema: a new column is decided on before it is used. A table with text of users needs
an entry in `USER_TEXTS`, and one in `rag_core.governance.tenants.place_store`, so that exports and erasures know it.
Traces are in no table: they hold text only with `RAG_TRACE_CONTENT`, and the local store keeps the last ones alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class TextKind(StrEnum):
    """Authors of the text in a column."""

    USER = "user"
    """Text that users typed or were shown: questions, comments, answers."""
    DOCUMENT = "document"
    """Content of documents, their names and who may see them. It goes with the document."""
    OPERATOR = "operator"
    """Text that operators wrote: reasons, purposes, notes."""
    NAME = "name"
    """Names of tenants, sources, people and groups."""
    SECRET = "secret"  # noqa: S105  not one
    """Hashes that prove a secret; never exported."""
    SYSTEM = "system"
    """Codes, states, figures, fingerprints and messages of the platform. It quotes nothing."""


@dataclass(frozen=True, slots=True)
class UserText:
    """Retention rule of a text of users: the default, the setting for it, and the setting that ends it.

    Settings are fields of `Settings`; `ends` may be words where no setting does.
    """

    default: str
    setting: str = ""
    retention: str = ""
    ends: str = ""


USER_TEXTS: Final = {
    "unanswered_questions.question": UserText("hashed", "unanswered_questions", "history_days"),
    "ratings.question": UserText("plain: operators see what was asked", retention="feedback_retention_days"),
    "ratings.answer": UserText("hashed", "feedback_answers", "feedback_retention_days"),
    "ratings.comment": UserText("plain: it was written for operators", retention="feedback_retention_days"),
    "evaluation_questions.question": UserText(
        "plain: it is asked again",
        retention="feedback_retention_days",
        ends="accepted ones stay",
    ),
    "curations.questions": UserText("plain: editors wrote them", ends="deleted when an editor removes the curation"),
    "evaluation_questions.note": UserText("plain: it says what was wrong", retention="feedback_retention_days"),
    "evaluation_results.question": UserText("plain: owners' questions", retention="evaluation_retention_days"),
    "evaluation_results.answer": UserText("plain: two runs are compared", retention="evaluation_retention_days"),
    "source_operations.result": UserText("plain: a preview quotes documents", ends="deleted after an hour"),
}

_KINDS: Final = {
    "alerts": "key:name kind:system severity:system tenant:name source:name summary:system details:system"
    " delivered:system",
    "announced_states": "tenant:name source:name state:system",
    "api_keys": "key_id:name secret_hash:secret name:operator tenant:name groups:name scopes:system created_by:name"
    " directory:name",
    "audit": "actor:name action:system target:name details:operator tenant:name outcome:system chain_hash:system",
    "audit_checkpoints": "tenant:name hash:system actor:name",
    "audit_documents": "tenant:name source:name locator:document",
    "audit_heads": "tenant:name hash:system",
    "budgets": "tenant:name key_id:name set_by:name",
    "chunkings": "chunker:system",
    "chunks": "chunker:system headings:document embed_text:document text_hash:document blocks:document",
    "colours": "target:system name:system release:system detail:system",
    "console_accounts": "name:name tenant:name role:system groups:name salt:secret password_hash:secret"
    " second_factor:secret created_by:name",
    "console_sessions": "session:secret tenant:name subject:name scopes:system",
    "curations": "tenant:name questions:user action:system answer:operator acl:name owner:name changed_by:name",
    "dead_letters": "tenant:name source:name locator:document topic:name stage:system reason:system message:system"
    " sha256:document payload:document attributes:document key:document headers:document",
    "deployment_steps": "step:system reason:system detail:system figures:system",
    "deployments": "target:system release:system spec:system colour:system from_colour:system state:system"
    " steps:system generation:system generation_before:system actor:name why:operator wanted:system wanted_by:name"
    " wanted_why:operator reason:system detail:system",
    "directories": "tenant:name name:name kind:system subject:system",
    "directory_entries": "tenant:name directory:name entry:name names:name",
    "directory_members": "tenant:name directory:name member:name group:name",
    "directory_resources": "tenant:name directory:name kind:system name:name entry:name external_id:name"
    " attributes:name",
    "documents": "tenant:name source:name locator:document token:document parsed_as:system content_hash:document"
    " text_hash:document media_type:document title:document language:document text:document blocks:document"
    " links:document structure:document metadata:document flags:system acl:name run_id:system",
    "embedding_turns": "tenant:name source:name run_id:system state:system",
    "embeddings": "text_hash:document embedder:system vector:document",
    "erasures": "tenant:name source:name requested_by:name receipt:system",
    "evaluation_questions": "tenant:name question:user expected:operator patterns:operator sources:document"
    " tags:operator origin:system state:system note:user doc_ids:system decided_by:name",
    "evaluation_results": "id:system question:user tags:operator grade:system answer:user doc_ids:system",
    "evaluation_runs": "tenant:name origin:system actor:name name:operator series:system generation:system"
    " answerer:system figures:system tags:operator detail:system",
    "former_texts": "text_hash:document",
    "generation_documents": "generation:system",
    "generations": "name:system state:system embedder:system chunker:system details:system settings:system"
    " counts:system evaluation:system actor:name reason:operator promoted_from:system",
    "held_deletions": "tenant:name source:name",
    "history": "series:system tenant:name label:name",
    "originals": "content:document",
    "inbox": "tenant:name source:name locator:document operation:system content:document media_type:document"
    " title:document acl:name metadata:document idempotency_key:system request_hash:system subject:name outcome:system"
    " traceparent:system",
    "listed_items": "locator:document token:document reason:system message:system",
    "listings": "tenant:name source:name options:system taken:system change_token:document cursor:document",
    "object_notices": "tenant:name source:name bucket:name object_key:document",
    "quality_runs": "run_id:system tenant:name source:name profile:system findings:system",
    "quarantine": "tenant:name source:name locator:document stage:system reason:system message:system token:document"
    " parsed_as:system run_id:system",
    "query_replicas": "replica:system embedders:system",
    "ratings": "tenant:name actor:name question:user answer:user comment:user generation:system citations:document"
    " answer_hash:system",
    "reading_progress": "tenant:name source:name run_id:system",
    "refused_names": "tenant:name name:name",
    "run_stages": "run_id:system tenant:name source:name stage:system counts:system seconds:system problem:system",
    "schema_readers": "oldest:system",
    "source_items": "tenant:name source:name locator:document state:document",
    "source_operations": "tenant:name actor:name action:system source:name request:operator state:system result:user"
    " reason:system message:system",
    "source_problems": "place:name message:system source:name tenant:name reason:system",
    "source_runs": "tenant:name source:name run_id:system state:system reason:system message:system",
    "source_states": "tenant:name source:name kind:system",
    "sources": "tenant:name name:name kind:system cursor:document change_token:document acl:name egress:system"
    " freshness:system",
    "stream_offsets": "stream:name topic:name topic_id:system",
    "stream_workers": "worker:system details:system",
    "tenants": "name:name state:system reason:operator egress:system egress_sources:system created_by:name"
    " changed_by:name erase_audit:system receipt:system",
    "token_revocations": "tenant:name subject:name revoked_by:name",
    "unanswered_questions": "tenant:name question_hash:system question:user outcome:system",
    "usage": "tenant:name key_id:name writer:system",
    "visibility_changes": "tenant:name source:name acl:name",
    "webhook_deliveries": "webhook_id:system state:system reason:system",
    "webhook_events": "tenant:name type:system data:document",
    "webhooks": "id:system tenant:name url:operator events:system description:operator disabled_reason:system"
    " created_by:name",
}
TEXTS: Final = {
    f"{table}.{name}": TextKind(kind)
    for table, columns in _KINDS.items()
    for name, kind in (column.split(":") for column in columns.split())
}
"""The kind of every text column, by `table.column`."""
