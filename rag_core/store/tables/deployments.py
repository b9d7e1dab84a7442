"""Blue/green deployments: one row each, what happened to it, and the colours as the deployer saw them last."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.store.tables.base import metadata, now_column

deployments = Table(
    "deployments",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("target", Text, nullable=False, comment="local or kubernetes"),
    Column("release", Text, nullable=False),
    Column("spec", JSONB, nullable=False, comment="what the target starts: interpreter and settings, or an image"),
    Column("colour", Text, nullable=False, comment="blue or green"),
    Column("from_colour", Text, nullable=False, comment="the colour that served before"),
    Column("state", Text, nullable=False, comment="see rag_core.store.deployments.State"),
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
    # One deployment at a time: the database itself refuses a second one.
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
