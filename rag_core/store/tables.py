"""The tables of the truth. Alembic migrations in `migrations/` create them; a test compares the two.

Row state drives the pipeline: what a stage still has to do is a join, so a crash at any point leaves work for the next
run and nothing else.

    documents.version        bumped on every change that the index must follow (content, ACL, metadata, deletion)
    chunkings.text_version   per document and chunker; <> documents.text_version -> chunk again
    embeddings               absent row for (text_hash, embedder) -> embed
    generation_documents     indexed_version <> documents.version -> apply to that generation
    inbox                    applied_at is null -> the stream worker applies it
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "rag"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _now(name: str) -> Column[datetime]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


sources = Table(
    "sources",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("shards", Integer, nullable=False, server_default="1"),
    Column("cursor", JSONB, nullable=False, server_default="{}"),
    Column("last_complete_at", DateTime(timezone=True)),
    Column("change_token", Text, comment="connector change token of the last complete run, per shard joined"),
    Column("acl", ARRAY(Text), comment="default ACL given to documents whose connector reports none"),
    Column("held_deletions", Integer, nullable=False, server_default="0"),
    Column("held_at", DateTime(timezone=True)),
    Column("deletions_approved_at", DateTime(timezone=True), comment="an operator released what was held before this"),
    Column("deletions_approved", Integer, comment="how many deletions the operator saw and released"),
    _now("updated_at"),
)

documents = Table(
    "documents",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False, server_default="0"),
    Column("locator", Text, nullable=False),
    Column("version", BigInteger, nullable=False, comment="ours, monotonic per document"),
    Column("text_version", BigInteger, nullable=False, comment="version at which text, title or blocks last changed"),
    Column(
        "source_version",
        BigInteger,
        nullable=False,
        comment="the source's own for event sources, else equal to version",
    ),
    Column("token", Text, nullable=False, comment="SourceItem.token the row was read at"),
    Column("parsed_as", Text, nullable=False, comment="fingerprint of parser version and settings"),
    Column(
        "content_hash",
        LargeBinary,
        nullable=False,
        comment="sha256 of the raw bytes and what the connector said of them",
    ),
    Column("text_hash", LargeBinary, nullable=False, comment="sha256 of the extracted text"),
    Column("bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=""),
    Column("language", Text, nullable=False, server_default=""),
    Column("text", Text, nullable=False),
    Column("blocks", JSONB, nullable=False, server_default="[]", comment="[[kind, start, end, level], ...]"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("flags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("acl", ARRAY(Text), comment="null: never known, not searchable"),
    Column(
        "acl_inherited", Boolean, nullable=False, server_default="false", comment="acl is the default of the source"
    ),
    Column("run_id", Text, nullable=False, comment="run or stream batch that wrote this version"),
    Column("deleted_at", DateTime(timezone=True), comment="tombstone"),
    _now("updated_at"),
    UniqueConstraint("tenant", "source", "locator"),
    # Covers what the stages join on, so that "nothing to do" is answered without touching the texts.
    Index(
        "ix_documents_source_shard",
        "tenant",
        "source",
        "shard",
        postgresql_include=["doc_id", "version", "text_version", "deleted_at", "run_id"],
    ),
)

chunkings = Table(
    "chunkings",
    metadata,
    Column("doc_id", Uuid, ForeignKey(documents.c.doc_id, ondelete="CASCADE"), primary_key=True),
    Column("chunker", Text, primary_key=True, comment="chunker fingerprint"),
    Column("text_version", BigInteger, nullable=False, comment="documents.text_version the chunks were computed from"),
    Column("chunk_count", Integer, nullable=False),
    Column(
        "rejected",
        Boolean,
        nullable=False,
        server_default="false",
        comment="could not be chunked or embedded; see quarantine",
    ),
    Index("ix_chunkings_rejected", "doc_id", postgresql_where="rejected"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("doc_id", Uuid, ForeignKey(documents.c.doc_id, ondelete="CASCADE"), primary_key=True),
    Column(
        "chunker",
        Text,
        primary_key=True,
        comment="chunker fingerprint; generations with different chunkers live side by side",
    ),
    Column("ordinal", Integer, primary_key=True),
    Column("chunk_id", Uuid, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("headings", ARRAY(Text), nullable=False, server_default="{}"),
    Column("embed_text", Text, nullable=False),
    Column("text_hash", LargeBinary, nullable=False),
    Column("tokens", Integer, nullable=False),
    CheckConstraint('"end" > start', name="span"),
    UniqueConstraint("chunker", "chunk_id"),
    Index("ix_chunks_text_hash", "text_hash"),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("text_hash", LargeBinary, primary_key=True),
    Column("embedder", Text, primary_key=True, comment="embedder fingerprint"),
    Column("vector", LargeBinary, nullable=False, comment="little-endian float32[dimensions]"),
    _now("created_at"),
)

generations = Table(
    "generations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("chunker", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Column("settings", JSONB, nullable=False, server_default="{}", comment="what reproduces embedder and chunker"),
    Column("counts", JSONB, nullable=False, server_default="{}", comment="documents and points when it was built"),
    Column("evaluation", JSONB, comment="checks of the gate with their figures, parity included"),
    Column("actor", Text, nullable=False, server_default="pipeline", comment="who started it"),
    Column("reason", Text, nullable=False, server_default="", comment="why, in their words"),
    _now("created_at"),
    Column("ready_at", DateTime(timezone=True)),
    Column("evaluation_wanted_at", DateTime(timezone=True), comment="someone asked for the gate"),
    Column("promoted_at", DateTime(timezone=True)),
    Column("promoted_from", Text, comment="the generation readers were on before: what a rollback returns to"),
    Column("keep_until", DateTime(timezone=True), comment="end of the grace period after readers left it"),
    Column("retired_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('building', 'ready', 'active', 'retired')", name="state"),
    Index("uq_generations_active", "state", unique=True, postgresql_where="state = 'active'"),
)

generation_documents = Table(
    "generation_documents",
    metadata,
    Column("generation", Text, ForeignKey(generations.c.name, ondelete="CASCADE"), primary_key=True),
    Column("doc_id", Uuid, ForeignKey(documents.c.doc_id, ondelete="CASCADE"), primary_key=True),
    Column("indexed_version", BigInteger, nullable=False, comment="written only after the engine has flushed it"),
)

query_replicas = Table(
    "query_replicas",
    metadata,
    Column("replica", Text, primary_key=True, comment="host, process and start of a query server"),
    Column("embedders", ARRAY(Text), nullable=False, comment="fingerprints it can embed queries with"),
    _now("seen_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False, server_default="0"),
    Column("locator", Text, nullable=False),
    Column("stage", Text, nullable=False, comment="list, fetch, parse, chunk, embed, index"),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column(
        "token",
        Text,
        comment="SourceItem.token it failed at, not tried again after the last attempt; null: try in every run",
    ),
    Column("parsed_as", Text, comment="parser fingerprint it failed with; a new parser tries again"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    Column(
        "skipped",
        Boolean,
        nullable=False,
        server_default="false",
        comment="left out by policy or discarded; not a failure",
    ),
    Column("run_id", Text, nullable=False),
    _now("first_at"),
    _now("last_at"),
    UniqueConstraint("tenant", "source", "locator"),
)

run_stages = Table(
    "run_stages",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("counts", JSONB, nullable=False),
    Column("seconds", JSONB, nullable=False, server_default="{}"),
    Column("complete", Boolean, nullable=False),
    Column("problem", Text, comment="reason code when the stage did not do all it should"),
    _now("finished_at"),
    Index("ix_run_stages_source", "tenant", "source", "finished_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Column("tenant", Text, comment="whose data it concerned; null: the platform's"),
    Column("outcome", Text, nullable=False, server_default="ok", comment="ok, or the reason code of the refusal"),
    Index("ix_audit_at", "at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True, comment="the public part of the key"),
    Column("secret_hash", LargeBinary, nullable=False, comment="sha256 of the secret part, which has 256 random bits"),
    Column("name", Text, nullable=False, comment="what it is for, in words of its owner"),
    Column("tenant", Text, nullable=False),
    Column("groups", ARRAY(Text), nullable=False, server_default="{}"),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_by", Text, nullable=False),
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True), comment="to the minute"),
)

token_revocations = Table(
    "token_revocations",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("before", DateTime(timezone=True), nullable=False, comment="tokens issued before this are refused"),
    Column("forget_at", DateTime(timezone=True), nullable=False, comment="no such token can be valid any more"),
)

quality_runs = Table(
    "quality_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("score", Float, nullable=False, comment="0..100"),
    Column("profile", JSONB, nullable=False, comment="what the shard looked like; see rag_core.quality.Profile"),
    Column("findings", JSONB, nullable=False, comment="values by source rule that fired, as warnings and errors"),
    Column("failed", Integer, nullable=False, comment="inputs this run sent to quarantine"),
    Column("tried", Integer, nullable=False, comment="inputs this run read"),
    Column("exceeded", Boolean, nullable=False, comment="more failed than the source allows"),
    Column("good", Boolean, nullable=False, comment="later runs are compared with the newest good one"),
    _now("finished_at"),
    Index("ix_quality_runs_source", "tenant", "source", "shard", "finished_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True, comment="kind and what it is about; one row per condition"),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("summary", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default="{}"),
    _now("started_at"),
    Column("ended_at", DateTime(timezone=True), comment="the condition is over"),
    Column("delivered", JSONB, nullable=False, server_default="{}", comment="per notifier: state and time last sent"),
)

source_items = Table(
    "source_items",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("locator", Text, primary_key=True),
    Column("state", JSONB, nullable=False, comment="what the connector remembers; its own format"),
    _now("updated_at"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("doc_id", Uuid, nullable=False),
    Column("operation", Text, nullable=False),
    Column("source_version", BigInteger, nullable=False, comment="the caller's, or one more than the last"),
    Column("content", LargeBinary, comment="null for a deletion, and once it was applied"),
    Column("media_type", Text),
    Column("title", Text),
    Column("acl", ARRAY(Text), comment="null: keep what the document has"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("idempotency_key", Text),
    Column("request_hash", LargeBinary, nullable=False, comment="sha256 of what was asked"),
    Column("subject", Text, nullable=False, comment="who asked"),
    Column("event_at", DateTime(timezone=True), nullable=False),
    _now("received_at"),
    Column("applied_at", DateTime(timezone=True)),
    Column("outcome", Text, comment="applied, stale, deleted or dead"),
    CheckConstraint("operation IN ('put', 'delete')", name="operation"),
    Index("ix_inbox_pending", "seq", postgresql_where="applied_at IS NULL"),
    Index("ix_inbox_doc_id", "doc_id", "seq"),
    Index(
        "uq_inbox_idempotency_key",
        "tenant",
        "idempotency_key",
        unique=True,
        postgresql_where="idempotency_key IS NOT NULL",
    ),
)

stream_offsets = Table(
    "stream_offsets",
    metadata,
    Column("stream", Text, primary_key=True, comment="<tenant>/<source>"),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False, comment="first offset that is not applied"),
    _now("updated_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("topic", Text, nullable=False, comment="empty for the push inbox"),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False, comment="of the message, or inbox.seq"),
    Column("stage", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("payload", LargeBinary, comment="the message, while it can be redriven"),
    Column("attributes", JSONB, nullable=False, server_default="{}", comment="the rest of the event, for a redrive"),
    Column("attempts", Integer, nullable=False),
    _now("created_at"),
    UniqueConstraint("tenant", "source", "topic", "partition", "offset"),
    Index("ix_dead_letters_locator", "tenant", "source", "locator"),
)

stream_workers = Table(
    "stream_workers",
    metadata,
    Column("worker", Text, primary_key=True),
    _now("started_at"),
    _now("beat_at"),
    Column("details", JSONB, nullable=False, server_default="{}", comment="per stream: state, lag, counts"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", BigInteger, nullable=False, comment="what is not newer than this never comes back"),
    Column("requested_by", Text, nullable=False),
    _now("erased_at"),
    Column("receipt", JSONB, nullable=False, server_default="{}", comment="what was removed where, without content"),
)

ratings = Table(
    "ratings",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    _now("at"),
    Column("actor", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("good", Boolean, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    Column("generation", Text, nullable=False, server_default=""),
    Column("citations", JSONB, nullable=False, server_default="[]", comment="spans that were cited"),
    Index("ix_ratings_tenant", "tenant", "id"),
)
