"""Tables of the pipeline: sources, documents, chunks, vectors, generations, quarantine, and runs."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

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
    now_column("updated_at"),
    Column("egress", ARRAY(Text), comment="endpoints its file allows its text to go to; null: as its tenant"),
    Column("egress_refused_at", DateTime(timezone=True), comment="its text may not go to the embedding model"),
    Column(
        "freshness",
        JSONB(none_as_null=True),
        comment="half_life_days and weight its file names; null: age does not count",
    ),
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
    Column(
        "structure", JSONB, comment="the blocks with all that is known of them, see rag_core.content.parsing.to_rows"
    ),
    Column("links", JSONB, comment="[[start, end, target], ...]; null: none, or parsed before they were kept"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("flags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("acl", ARRAY(Text), comment="null: never known, not searchable"),
    Column(
        "acl_inherited", Boolean, nullable=False, server_default="false", comment="acl is the default of the source"
    ),
    Column("run_id", Text, nullable=False, comment="run or stream batch that wrote this version"),
    Column("deleted_at", DateTime(timezone=True), comment="tombstone"),
    now_column("updated_at"),
    Column(
        "created_at",
        DateTime(timezone=True),
        server_default=func.now(),
        comment="when it was stored first; null: before this was recorded",
    ),
    UniqueConstraint("tenant", "source", "locator"),
    # Covers the columns that stages join on, so that "nothing to do" is found without reading the texts.
    Index(
        "ix_documents_source_shard",
        "tenant",
        "source",
        "shard",
        postgresql_include=["doc_id", "version", "text_version", "deleted_at", "run_id"],
    ),
    Index("ix_documents_updated_at", "tenant", "updated_at", "doc_id"),
)

originals = Table(
    "originals",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("content", LargeBinary, nullable=False, comment="as it was pushed; of documents whose pages can be shown"),
    now_column("stored_at"),
)
"""Written before the row of a new document, in its transaction; deleted with its text."""

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
    Column("blocks", JSONB, comment="structure of the span; null: chunked before it was known"),
    CheckConstraint('"end" > start', name="span"),
    UniqueConstraint("chunker", "chunk_id"),
    Index("ix_chunks_text_hash", "text_hash"),
)

former_texts = Table(
    "former_texts",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("text_hash", LargeBinary, primary_key=True, comment="of a chunk that it has no more"),
    Index("ix_former_texts_text_hash", "text_hash"),
)
"""Filled by a trigger when chunks are deleted (former_texts.sql); deleted with the vectors of these texts."""

embeddings = Table(
    "embeddings",
    metadata,
    Column("text_hash", LargeBinary, primary_key=True),
    Column("embedder", Text, primary_key=True, comment="embedder fingerprint"),
    Column("vector", LargeBinary, nullable=False, comment="little-endian float32[dimensions]"),
    now_column("created_at"),
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
    now_column("created_at"),
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
    Column(
        "indexed_at",
        DateTime(timezone=True),
        server_default=func.now(),
        comment="when the engine flushed this version; null: before this was recorded",
    ),
)

held_deletions = Table(
    "held_deletions",
    metadata,
    Column(
        "doc_id",
        Uuid,
        ForeignKey(documents.c.doc_id, ondelete="CASCADE", name="fk_held_deletions_doc_id_documents"),
        primary_key=True,
    ),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("held_at", DateTime(timezone=True), nullable=False, comment="an approval covers what was held before it"),
    Index("ix_held_deletions_source", "tenant", "source"),
)

visibility_changes = Table(
    "visibility_changes",
    metadata,
    Column(
        "doc_id",
        Uuid,
        ForeignKey(documents.c.doc_id, ondelete="CASCADE", name="fk_visibility_changes_doc_id_documents"),
        primary_key=True,
    ),
    Column("position", BigInteger, Identity(always=False), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("acl", ARRAY(Text), comment="who may see it now; null: nobody"),
    Column("restricts", Boolean, nullable=False, comment="someone lost access since the index was told"),
    Index("ix_visibility_changes_shard", "tenant", "source", "shard", "position"),
)

query_replicas = Table(
    "query_replicas",
    metadata,
    Column("replica", Text, primary_key=True, comment="host, process and start of a query server"),
    Column("embedders", ARRAY(Text), nullable=False, comment="fingerprints it can embed queries with"),
    now_column("seen_at"),
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
    now_column("first_at"),
    now_column("last_at"),
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
    now_column("finished_at"),
    Index("ix_run_stages_source", "tenant", "source", "finished_at"),
)

source_states = Table(
    "source_states",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("configured", Boolean, nullable=False, comment="whether a source file defines it"),
    Column("has_runs", Boolean, nullable=False, comment="false: the stream worker brings it up to date"),
    Column("automatic", Boolean, nullable=False, comment="whether its change sensor is on"),
    Column("paused_at", DateTime(timezone=True), comment="since when all of them are off"),
    Column("freshness_minutes", Integer, comment="age of its last complete listing at which it is stale"),
    now_column("observed_at"),
)
"""State of a source in Dagster, written by its sensor `source_changes`; below, the newest run of each shard."""

source_runs = Table(
    "source_runs",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, comment="reason code of a failure"),
    Column("message", Text),
    Column("queued_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("failing_since", DateTime(timezone=True), comment="first failure since the last good run"),
    CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')", name="state"),
)

source_items = Table(
    "source_items",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("locator", Text, primary_key=True),
    Column("state", JSONB, nullable=False, comment="what the connector remembers; its own format"),
    now_column("updated_at"),
)

listings = Table(
    "listings",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("options", Text, nullable=False, comment="fingerprint of what the connector was made from"),
    Column("shards", Integer, nullable=False),
    Column("taken", ARRAY(SmallInteger), nullable=False, comment="shards that never use it any more"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("completed_at", DateTime(timezone=True), comment="null: under way, or its run died"),
    Column("change_token", Text),
    Column("cursor", JSONB),
    Index("ix_listings_source", "tenant", "source", "id"),
    prefixes=["UNLOGGED"],
)
"""Listings shared by the runs of several shards (`rag_core.content.sources.shared_listing_store`); below, their
entries.

Without a foreign key: its queue of rows to check would grow with the source. Rows are added and deleted in one
transaction.
"""

listed_items = Table(
    "listed_items",
    metadata,
    Column("listing", BigInteger, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("locator", Text, nullable=False),
    Column("token", Text),
    Column("size", BigInteger),
    Column("modified_at", DateTime(timezone=True)),
    Column("reason", Text),
    Column("message", Text),
    Column("skipped", Boolean, nullable=False),
    Index("ix_listed_items_listing", "listing", "shard"),
    prefixes=["UNLOGGED"],
)

embedding_turns = Table(
    "embedding_turns",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("lock_key", BigInteger, comment="advisory lock that the run's session holds"),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("weight", Double, nullable=False),
    Column("state", Text, nullable=False, comment="idle, waiting or working"),
    now_column("since"),
    Column("remaining", BigInteger, nullable=False, comment="bytes of the source that are still to do"),
    Column("rate", Double, comment="bytes a second while it works; null: not known yet"),
    Column("used", Double, nullable=False, comment="seconds of its tenant, divided by the tenant's weight"),
    prefixes=["UNLOGGED"],
)
"""Runs that take turns at embedding (`rag_core.ingestion.pipeline.turns`)."""

reading_progress = Table(
    "reading_progress",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("unread", BigInteger, nullable=False, comment="listed items without a stored document"),
    Column("outdated", BigInteger, nullable=False, comment="listed items whose stored document is older"),
    Column("bytes", BigInteger, nullable=False, comment="of both, about"),
    now_column("updated_at"),
    Column("listing", Boolean, nullable=False, server_default="false", comment="whether more may be listed"),
)
"""Items that the last run of a shard has listed and not read yet (`rag_core.ingestion.pipeline.progress_store`)."""

source_problems = Table(
    "source_problems",
    metadata,
    Column("place", Text, primary_key=True, comment="name of the file"),
    Column("message", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("tenant", Text, nullable=False, comment="empty: the file does not say"),
    Column("reason", Text, nullable=False),
    now_column("since"),
)
"""Mistakes in source files (`rag_core.content.sources.problem_store`)."""
