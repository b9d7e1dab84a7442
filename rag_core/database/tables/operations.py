"""Tables of operations: audit, keys, quality, alerts, tenants, usage and budgets."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    now_column("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("details", JSONB, nullable=False, server_default="{}"),
    Column("tenant", Text, comment="whose data it concerned; null: the platform's"),
    Column("outcome", Text, nullable=False, server_default="ok", comment="ok, or the reason code of the refusal"),
    Column("doc_id", Uuid, comment="the document it was done to"),
    Column("chain_seq", BigInteger, comment="place in its tenant's chain"),
    Column("chain_hash", LargeBinary, comment="sha256 of the one before and of this row"),
    Index("ix_audit_at", "at"),
    Index("ix_audit_chain", text("coalesce(tenant, '')"), "chain_seq", unique=True),
    Index("ix_audit_doc_id", "doc_id", postgresql_where=text("doc_id IS NOT NULL")),
)
"""Append-only: triggers (audit.sql) link each row to the previous one and refuse every change."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant", Text, primary_key=True, comment="empty: actions without a tenant"),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="the last row that was removed"),
    Column("hash", LargeBinary, nullable=False, comment="its hash, which the next row continues"),
    Column("removed", BigInteger, nullable=False),
    now_column("at"),
    Column("actor", Text, nullable=False),
)

audit_documents = Table(
    "audit_documents",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("locator", Text, nullable=False),
)
"""Locators of documents that the audit log names by id; an erasure empties them."""

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
    now_column("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True), comment="to the minute"),
    Column("directory", Text, comment="the directory of the tenant that a SCIM client with it pushes to"),
)

token_revocations = Table(
    "token_revocations",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("before", DateTime(timezone=True), nullable=False, comment="tokens issued before this are refused"),
    Column("forget_at", DateTime(timezone=True), nullable=False, comment="no such token can be valid any more"),
    Column("revoked_by", Text),
)

console_accounts = Table(
    "console_accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("role", Text, nullable=False, comment="viewer, operator or admin"),
    Column("groups", ARRAY(Text), nullable=False, server_default="{}"),
    Column("platform", Boolean, nullable=False, comment="also acts on what tenants share"),
    Column("salt", LargeBinary, nullable=False),
    Column("password_hash", LargeBinary, nullable=False, comment="scrypt"),
    Column("created_by", Text, nullable=False),
    now_column("created_at"),
    Column("last_sign_in_at", DateTime(timezone=True)),
    Column("failures", Integer, nullable=False, server_default="0", comment="since the last sign-in"),
    Column("last_failure_at", DateTime(timezone=True)),
    Column("unlocked_at", DateTime(timezone=True), comment="failures before this no longer count"),
    Column("second_factor", LargeBinary, comment="sealed secret of its codes; NULL: a password is enough"),
    Column("second_factor_step", BigInteger, comment="newest step whose code was used; older ones are refused"),
)

console_sessions = Table(
    "console_sessions",
    metadata,
    Column(
        "session",
        Text,
        primary_key=True,
        comment="hash of the token without its signature; see rag_core.governance.access.session_of",
    ),
    Column("tenant", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False, server_default="{}"),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    now_column("first_used_at"),
    Column("last_used_at", DateTime(timezone=True), nullable=False, comment="to the minute"),
    Index("ix_console_sessions_tenant", "tenant", "last_used_at"),
)

quality_runs = Table(
    "quality_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("score", Float, nullable=False, comment="0..100"),
    Column(
        "profile",
        JSONB,
        nullable=False,
        comment="what the shard looked like; see rag_core.content.quality.sources.Profile",
    ),
    Column("findings", JSONB, nullable=False, comment="values by source rule that fired, as warnings and errors"),
    Column("failed", Integer, nullable=False, comment="inputs this run sent to quarantine"),
    Column("tried", Integer, nullable=False, comment="inputs this run read"),
    Column("exceeded", Boolean, nullable=False, comment="more failed than the source allows"),
    Column("good", Boolean, nullable=False, comment="later runs are compared with the newest good one"),
    now_column("finished_at"),
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
    now_column("started_at"),
    Column("ended_at", DateTime(timezone=True), comment="the condition is over"),
    Column("delivered", JSONB, nullable=False, server_default="{}", comment="per notifier: state and time last sent"),
)

installation = Table(
    "installation",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    now_column("created_at"),
    Column("single", Boolean, primary_key=True, server_default="true", comment="so that there is one row"),
    CheckConstraint("single", name="single"),
)


# --------------------------------------------------------------------------------------------------------------------
# Blue/green deployments, their events, and the colours as the deployer last observed them.


deployments = Table(
    "deployments",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("target", Text, nullable=False, comment="local or kubernetes"),
    Column("release", Text, nullable=False),
    Column("spec", JSONB, nullable=False, comment="what the target starts: interpreter and settings, or an image"),
    Column("colour", Text, nullable=False, comment="blue or green"),
    Column("from_colour", Text, nullable=False, comment="the colour that served before"),
    Column("state", Text, nullable=False, comment="see rag_core.governance.audit.DeploymentState"),
    Column("position", SmallInteger, nullable=False, server_default="0", comment="the step that is under way, from 0"),
    Column("steps", ARRAY(SmallInteger), nullable=False, comment="weights it goes through, in per cent"),
    Column(
        "weight", SmallInteger, nullable=False, server_default="0", comment="per cent of the requests it should get"
    ),
    Column("generation", Text, nullable=False, server_default="", comment="promoted with it; empty: none"),
    Column("generation_before", Text, nullable=False, server_default="", comment="active when that was promoted"),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Column("wanted", Text, nullable=False, server_default="", comment="asked for and not done: switch or rollback"),
    Column("wanted_by", Text, nullable=False, server_default=""),
    Column("wanted_why", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default="", comment="reason code of a refusal or rollback"),
    Column("detail", Text, nullable=False, server_default=""),
    now_column("created_at"),
    now_column("updated_at"),
    Column("finished_at", DateTime(timezone=True)),
    Column("keep_until", DateTime(timezone=True), comment="until when the other colour is kept for a rollback"),
    # One deployment at a time: the database refuses a second one.
    Index("uq_deployments_target", "target", unique=True, postgresql_where=text("finished_at IS NULL")),
)

deployment_steps = Table(
    "deployment_steps",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("deployment", BigInteger, ForeignKey(deployments.c.id, ondelete="CASCADE"), nullable=False),
    now_column("at"),
    Column("step", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("weight", SmallInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("figures", JSONB, nullable=False, server_default="{}"),
    Index("ix_deployment_steps_deployment", "deployment", "id"),
)

colours = Table(
    "colours",
    metadata,
    Column("target", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("release", Text, nullable=False, comment="empty: nothing runs there"),
    Column("weight", SmallInteger, nullable=False),
    Column("servers", SmallInteger, nullable=False),
    Column("healthy", SmallInteger, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
    Column("keep_until", DateTime(timezone=True)),
    now_column("seen_at"),
)

source_operations = Table(
    "source_operations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False, comment="the caller's"),
    Column("actor", Text, nullable=False),
    Column("unrestricted", Boolean, nullable=False, comment="allow-lists do not apply: platform scope"),
    Column("action", Text, nullable=False, comment="see rag_core.content.sources.operation_store.Action"),
    Column("source", Text, nullable=False),
    Column("request", JSONB, nullable=False, server_default="{}"),
    Column("state", Text, nullable=False, server_default="queued", comment="queued, running, succeeded or failed"),
    Column("result", JSONB),
    Column("reason", Text, nullable=False, server_default="", comment="reason code of a failure"),
    Column("message", Text, nullable=False, server_default=""),
    now_column("requested_at"),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Index("ix_source_operations_open", "state", "id", postgresql_where=text("finished_at IS NULL")),
)


tenants = Table(
    "tenants",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text, nullable=False, server_default="", comment="why it is in this state"),
    Column("egress", ARRAY(Text), comment="endpoints its text may go to; null: RAG_EGRESS_DEFAULT"),
    Column("egress_sources", JSONB, nullable=False, server_default="{}", comment="the same of sources with less"),
    Column("created_by", Text, nullable=False),
    now_column("created_at"),
    Column("changed_by", Text, nullable=False),
    now_column("changed_at"),
    Column("question_words", Boolean, comment="keep texts of unanswered questions; null: RAG_UNANSWERED_QUESTIONS"),
    Column("erase_audit", Text, comment="asked with an erasure: keep or remove; null: none was asked for"),
    Column("erased_at", DateTime(timezone=True), comment="of the last erasure"),
    Column("receipt", JSONB, comment="of that erasure: what was removed where, without content"),
    CheckConstraint("state IN ('active', 'suspended', 'erasing', 'erased')", name="state"),
)


usage = Table(
    "usage",
    metadata,
    Column("day", Date, primary_key=True, comment="in UTC"),
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True, comment="of an API key; empty: calls with a token"),
    Column("writer", Text, primary_key=True, comment="the process that counted it; empty: all, when the day is over"),
    Column("calls", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False, comment="by a budget"),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
)
"""Each process writes its own totals of the day, so that writing twice counts once."""

budgets = Table(
    "budgets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True, comment="of an API key; empty: of the whole tenant"),
    Column("calls_per_day", BigInteger, CheckConstraint("calls_per_day >= 0", name="calls")),
    Column("model_tokens_per_day", BigInteger, CheckConstraint("model_tokens_per_day >= 0", name="model_tokens")),
    Column("documents", BigInteger, CheckConstraint("documents >= 0", name="documents")),
    Column("set_by", Text, nullable=False),
    now_column("set_at"),
    CheckConstraint("key_id = '' OR documents IS NULL", name="documents_of_tenant"),
)
