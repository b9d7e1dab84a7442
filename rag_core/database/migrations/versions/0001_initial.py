"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        schema=SCHEMA,
    )
    op.create_table(
        "documents",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="ours, monotonic per document"),
        sa.Column(
            "text_version",
            sa.BigInteger(),
            nullable=False,
            comment="version at which text, title or blocks last changed",
        ),
        sa.Column(
            "source_version",
            sa.BigInteger(),
            nullable=False,
            comment="the source's own for event sources, else equal to version",
        ),
        sa.Column("token", sa.Text(), nullable=False, comment="SourceItem.token the row was read at"),
        sa.Column("parsed_as", sa.Text(), nullable=False, comment="fingerprint of parser version and settings"),
        sa.Column(
            "content_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="sha256 of the raw bytes and what the connector said of them",
        ),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False, comment="sha256 of the extracted text"),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("blocks", JSONB(), server_default="[]", nullable=False, comment="[[kind, start, end, level], ...]"),
        sa.Column("metadata", JSONB(), server_default="{}", nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("acl", sa.ARRAY(sa.Text()), nullable=True, comment="null: never known, not searchable"),
        sa.Column(
            "acl_inherited",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="acl is the default of the source",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="run or stream batch that wrote this version"),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True, comment="tombstone"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_documents")),
        sa.UniqueConstraint("tenant", "source", "locator", name=op.f("uq_documents_tenant_source_locator")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_documents_source_shard",
        "documents",
        ["tenant", "source", "shard"],
        unique=False,
        schema=SCHEMA,
        postgresql_include=["doc_id", "version", "text_version", "deleted_at", "run_id"],
    )
    op.create_table(
        "embeddings",
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False, comment="embedder fingerprint"),
        sa.Column("vector", sa.LargeBinary(), nullable=False, comment="little-endian float32[dimensions]"),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("text_hash", "embedder", name=op.f("pk_embeddings")),
        schema=SCHEMA,
    )
    op.create_table(
        "generations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("chunker", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('building', 'ready', 'active', 'retired')", name=op.f("ck_generations_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_generations")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_generations_active",
        "generations",
        ["state"],
        unique=True,
        schema=SCHEMA,
        postgresql_where="state = 'active'",
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False, comment="list, fetch, parse, chunk, embed, index"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "token",
            sa.Text(),
            nullable=True,
            comment="SourceItem.token it failed at, not tried again after the last attempt; null: try in every run",
        ),
        sa.Column(
            "parsed_as", sa.Text(), nullable=True, comment="parser fingerprint it failed with; a new parser tries again"
        ),
        sa.Column("attempts", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "skipped",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="left out by policy or discarded; not a failure",
        ),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("tenant", "source", "locator", name=op.f("uq_quarantine_tenant_source_locator")),
        schema=SCHEMA,
    )
    op.create_table(
        "run_stages",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("counts", JSONB(), nullable=False),
        sa.Column("seconds", JSONB(), server_default="{}", nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True, comment="reason code when the stage did not do all it should"),
        sa.Column("finished_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "tenant", "source", "shard", "stage", name=op.f("pk_run_stages")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_run_stages_source", "run_stages", ["tenant", "source", "finished_at"], unique=False, schema=SCHEMA
    )
    op.create_table(
        "sources",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("shards", sa.Integer(), server_default="1", nullable=False),
        sa.Column("cursor", JSONB(), server_default="{}", nullable=False),
        sa.Column("last_complete_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "change_token",
            sa.Text(),
            nullable=True,
            comment="connector change token of the last complete run, per shard joined",
        ),
        sa.Column(
            "acl",
            sa.ARRAY(sa.Text()),
            nullable=True,
            comment="default ACL given to documents whose connector reports none",
        ),
        sa.Column("held_deletions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "deletions_approved_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="an operator released what was held before this",
        ),
        sa.Column(
            "deletions_approved",
            sa.Integer(),
            nullable=True,
            comment="how many deletions the operator saw and released",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_sources")),
        schema=SCHEMA,
    )
    op.create_table(
        "chunkings",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("chunker", sa.Text(), nullable=False, comment="chunker fingerprint"),
        sa.Column(
            "text_version",
            sa.BigInteger(),
            nullable=False,
            comment="documents.text_version the chunks were computed from",
        ),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column(
            "rejected",
            sa.Boolean(),
            server_default="false",
            nullable=False,
            comment="could not be chunked or embedded; see quarantine",
        ),
        sa.ForeignKeyConstraint(
            ["doc_id"], ["rag.documents.doc_id"], name=op.f("fk_chunkings_doc_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("doc_id", "chunker", name=op.f("pk_chunkings")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_chunkings_rejected", "chunkings", ["doc_id"], unique=False, schema=SCHEMA, postgresql_where="rejected"
    )
    op.create_table(
        "chunks",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column(
            "chunker",
            sa.Text(),
            nullable=False,
            comment="chunker fingerprint; generations with different chunkers live side by side",
        ),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("chunk_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("headings", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("embed_text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.CheckConstraint('"end" > start', name=op.f("ck_chunks_span")),
        sa.ForeignKeyConstraint(
            ["doc_id"], ["rag.documents.doc_id"], name=op.f("fk_chunks_doc_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("doc_id", "chunker", "ordinal", name=op.f("pk_chunks")),
        sa.UniqueConstraint("chunker", "chunk_id", name=op.f("uq_chunks_chunker_chunk_id")),
        schema=SCHEMA,
    )
    op.create_index("ix_chunks_text_hash", "chunks", ["text_hash"], unique=False, schema=SCHEMA)
    op.create_table(
        "generation_documents",
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column(
            "indexed_version", sa.BigInteger(), nullable=False, comment="written only after the engine has flushed it"
        ),
        sa.ForeignKeyConstraint(
            ["doc_id"], ["rag.documents.doc_id"], name=op.f("fk_generation_documents_doc_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["generation"],
            ["rag.generations.name"],
            name=op.f("fk_generation_documents_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation", "doc_id", name=op.f("pk_generation_documents")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("generation_documents", schema=SCHEMA)
    op.drop_index("ix_chunks_text_hash", table_name="chunks", schema=SCHEMA)
    op.drop_table("chunks", schema=SCHEMA)
    op.drop_index("ix_chunkings_rejected", table_name="chunkings", schema=SCHEMA)
    op.drop_table("chunkings", schema=SCHEMA)
    op.drop_table("sources", schema=SCHEMA)
    op.drop_index("ix_run_stages_source", table_name="run_stages", schema=SCHEMA)
    op.drop_table("run_stages", schema=SCHEMA)
    op.drop_table("quarantine", schema=SCHEMA)
    op.drop_index("uq_generations_active", table_name="generations", schema=SCHEMA)
    op.drop_table("generations", schema=SCHEMA)
    op.drop_table("embeddings", schema=SCHEMA)
    op.drop_index("ix_documents_source_shard", table_name="documents", schema=SCHEMA)
    op.drop_table("documents", schema=SCHEMA)
    op.drop_table("audit", schema=SCHEMA)
