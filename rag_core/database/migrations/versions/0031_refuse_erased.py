"""No row of an erased tenant is written any more, by whatever statement of whatever program."""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# A writer holds the lock until it commits, and an erasure takes it exclusively once the tenant is closed: what was
# written before is seen by the erasure, and what comes later is refused. The setting saves the rows after the first of
# a transaction the look-up; a savepoint that is rolled back takes both back.
_FUNCTION = """
CREATE FUNCTION rag.refuse_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant = current_setting('rag.writes_of', true) THEN
        RETURN NEW;
    END IF;
    IF TG_ARGV[0] = 'refuse' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('rag tenant ' || NEW.tenant, 0));
    END IF;
    IF EXISTS (SELECT FROM rag.tenants t WHERE t.name = NEW.tenant AND t.state IN ('erasing', 'erased')) THEN
        IF TG_ARGV[0] = 'refuse' THEN
            RAISE EXCEPTION 'tenant %: it was erased, or is being erased', NEW.tenant USING ERRCODE = 'RAG01';
        END IF;
        RETURN NULL;
    END IF;
    IF TG_ARGV[0] = 'refuse' THEN
        PERFORM set_config('rag.writes_of', NEW.tenant, true);
    END IF;
    RETURN NEW;
END $$
"""
_REFUSE = (
    "api_keys",
    "budgets",
    "console_accounts",
    "documents",
    "embedding_turns",
    "erasures",
    "evaluation_questions",
    "evaluation_runs",
    "held_deletions",
    "inbox",
    "listings",
    "object_notices",
    "ratings",
    "reading_progress",
    "source_items",
    "source_operations",
    "sources",
    "visibility_changes",
    "webhooks",
)
# What the platform notes by itself, of many tenants in one statement: the row is left out, and no lock is taken, for
# a lock of each of thousands of tenants would not fit.
_LEAVE_OUT = (
    "alerts",
    "announced_states",
    "audit_documents",
    "console_sessions",
    "dead_letters",
    "history",
    "quality_runs",
    "quarantine",
    "run_stages",
    "source_problems",
    "source_runs",
    "source_states",
    "token_revocations",
    "unanswered_questions",
    "usage",
    "webhook_events",
)


def upgrade() -> None:
    """Create the function and the triggers."""
    op.execute(_FUNCTION)
    for tables, way in ((_REFUSE, "refuse"), (_LEAVE_OUT, "leave out")):
        for table in tables:
            op.execute(
                f"CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.{table} FOR EACH ROW"
                f" EXECUTE FUNCTION rag.refuse_erased('{way}')"
            )


def downgrade() -> None:
    """Undo `upgrade`."""
    for table in (*_REFUSE, *_LEAVE_OUT):
        op.execute(f"DROP TRIGGER refuse_erased ON rag.{table}")
    op.execute("DROP FUNCTION rag.refuse_erased()")
