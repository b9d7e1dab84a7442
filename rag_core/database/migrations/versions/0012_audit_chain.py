"""A tamper-evident audit log: a hash chain per tenant, triggers that refuse changes, locators outside of the chain.

Existing rows are linked in the order of their ids. Locators move from their details to `audit_documents`, which an
erasure may empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rag_core.ids import document_id

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCHEMA = "rag"

# SECURITY DEFINER: the services append to the log, and only the log itself moves the head of a chain.
_LINK = """
CREATE FUNCTION rag.audit_link() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE head record;
BEGIN
    INSERT INTO rag.audit_heads AS h (tenant, seq, hash) VALUES (coalesce(NEW.tenant, ''), 1, ''::bytea)
    ON CONFLICT (tenant) DO UPDATE SET seq = h.seq + 1 RETURNING h.seq, h.hash INTO head;
    NEW.chain_seq := head.seq;
    NEW.chain_hash := sha256(head.hash || convert_to(jsonb_build_array(
        NEW.id, (extract(epoch FROM NEW.at) * 1000000)::bigint, NEW.actor, NEW.action, NEW.target, NEW.outcome,
        NEW.tenant, NEW.doc_id, NEW.details)::text, 'UTF8'));
    UPDATE rag.audit_heads SET hash = NEW.chain_hash WHERE tenant = coalesce(NEW.tenant, '');
    RETURN NEW;
END $$
"""
_REFUSE = """
CREATE FUNCTION rag.audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rag.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log cannot be changed' USING ERRCODE = 'insufficient_privilege';
END $$
"""
# Every row in the order of its tenant's chain; a loop, because each hash needs the one before.
_RELINK = """
DO $$
DECLARE entry rag.audit; head record; linked bytea;
BEGIN
    FOR entry IN SELECT * FROM rag.audit ORDER BY id LOOP
        INSERT INTO rag.audit_heads AS h (tenant, seq, hash) VALUES (coalesce(entry.tenant, ''), 1, ''::bytea)
        ON CONFLICT (tenant) DO UPDATE SET seq = h.seq + 1 RETURNING h.seq, h.hash INTO head;
        linked := sha256(head.hash || convert_to(jsonb_build_array(
            entry.id, (extract(epoch FROM entry.at) * 1000000)::bigint, entry.actor, entry.action, entry.target,
            entry.outcome, entry.tenant, entry.doc_id, entry.details)::text, 'UTF8'));
        UPDATE rag.audit SET chain_seq = head.seq, chain_hash = linked WHERE id = entry.id;
        UPDATE rag.audit_heads SET hash = linked WHERE tenant = coalesce(entry.tenant, '');
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Add the chain, move locators out of it, link the existing rows, then refuse changes."""
    op.add_column("audit", sa.Column("doc_id", sa.Uuid(), comment="the document it was done to"), schema=SCHEMA)
    op.add_column(
        "audit", sa.Column("chain_seq", sa.BigInteger(), comment="place in its tenant's chain"), schema=SCHEMA
    )
    linked = "sha256 of the one before and of this row"
    op.add_column("audit", sa.Column("chain_hash", sa.LargeBinary(), comment=linked), schema=SCHEMA)
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.Text(), nullable=False, comment="empty: actions without a tenant"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
        schema=SCHEMA,
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False, comment="the last row that was removed"),
        sa.Column("hash", sa.LargeBinary(), nullable=False, comment="its hash, which the next row continues"),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "seq", name=op.f("pk_audit_checkpoints")),
        schema=SCHEMA,
    )
    op.create_table(
        "audit_documents",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_audit_documents")),
        schema=SCHEMA,
    )
    _move_names(op.get_bind())
    op.execute(_RELINK)
    op.create_index(
        "ix_audit_chain", "audit", [sa.text("coalesce(tenant, '')"), "chain_seq"], unique=True, schema=SCHEMA
    )
    op.create_index(
        "ix_audit_doc_id", "audit", ["doc_id"], schema=SCHEMA, postgresql_where=sa.text("doc_id IS NOT NULL")
    )
    op.execute(_LINK)
    op.execute(_REFUSE)
    # Only once the row is complete: the id and the time are defaults.
    op.execute("CREATE TRIGGER audit_link BEFORE INSERT ON rag.audit FOR EACH ROW EXECUTE FUNCTION rag.audit_link()")
    op.execute(
        "CREATE TRIGGER audit_refuse BEFORE UPDATE OR DELETE ON rag.audit"
        " FOR EACH ROW EXECUTE FUNCTION rag.audit_refuse()"
    )
    op.execute(
        "CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON rag.audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION rag.audit_refuse()"
    )


def _move_names(connection: sa.Connection) -> None:
    """Replace the locators in old rows by the ids of their documents."""
    named = connection.execute(
        sa.text(
            "SELECT DISTINCT tenant, target AS source, details->>'locator' AS locator FROM rag.audit"
            " WHERE tenant IS NOT NULL AND details ? 'locator'"
        )
    )
    for row in named.all():
        values = {**row._mapping, "doc_id": document_id(row.tenant, row.source, row.locator)}
        connection.execute(
            sa.text(
                "INSERT INTO rag.audit_documents (doc_id, tenant, source, locator)"
                " VALUES (:doc_id, :tenant, :source, :locator) ON CONFLICT DO NOTHING"
            ),
            values,
        )
        connection.execute(
            sa.text(
                "UPDATE rag.audit SET doc_id = :doc_id, details = details - 'locator'"
                " WHERE tenant = :tenant AND target = :source AND details->>'locator' = :locator"
            ),
            values,
        )
    connection.execute(
        sa.text(
            "UPDATE rag.audit SET doc_id = (details->>'doc_id')::uuid WHERE action = 'document.erase'"
            " AND details->>'doc_id' ~ '^[0-9a-f-]{36}$'"
        )
    )


def downgrade() -> None:
    """Drop what was added; the locators are not restored."""
    for trigger in ("audit_link", "audit_refuse", "audit_refuse_truncate"):
        op.execute(f"DROP TRIGGER {trigger} ON rag.audit")
    op.execute("DROP FUNCTION rag.audit_link, rag.audit_refuse")
    op.drop_index("ix_audit_doc_id", table_name="audit", schema=SCHEMA)
    op.drop_index("ix_audit_chain", table_name="audit", schema=SCHEMA)
    for table in ("audit_documents", "audit_checkpoints", "audit_heads"):
        op.drop_table(table, schema=SCHEMA)
    for column in ("chain_hash", "chain_seq", "doc_id"):
        op.drop_column("audit", column, schema=SCHEMA)
