"""Tables of directories: people and groups that identity providers know, and who is in which group."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Index, Integer, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

directories = Table(
    "directories",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="0", comment="raised by every change of its entries"),
    now_column("synced_at"),
    Column("held_removals", Integer, comment="what the last reading would remove; null: it was applied"),
    Column("held_at", DateTime(timezone=True)),
    Column("subject", Text, comment="SCIM: attribute of a person that is the subject of tokens; null: another kind"),
)

directory_entries = Table(
    "directory_entries",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("directory", Text, primary_key=True),
    Column("entry", Text, primary_key=True, comment="user:SUBJECT or group:NAME, as tokens name them"),
    Column("names", ARRAY(Text), nullable=False, comment="what sources call it, such as uid:1000"),
    Column("active", Boolean, nullable=False, comment="false: a person who may do nothing"),
    Column("by_token", Boolean, nullable=False, comment="a group whose members are those whose tokens name it"),
    now_column("since"),
    Index("ix_directory_entries_entry", "tenant", "entry"),
    Index("ix_directory_entries_names", "names", postgresql_using="gin"),
)

directory_members = Table(
    "directory_members",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("directory", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("group", Text, primary_key=True),
    now_column("since"),
    Index("ix_directory_members_group", "tenant", "directory", "group"),
)

directory_resources = Table(
    "directory_resources",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="user or group"),
    Column("name", Text, nullable=False, comment="userName or displayName, as the identity provider has it"),
    Column("entry", Text, nullable=False, comment="its entry in directory_entries"),
    Column("external_id", Text, comment="its id at the identity provider"),
    Column("attributes", JSONB, nullable=False, comment="the resource of SCIM without id, meta and members"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    now_column("created_at"),
    now_column("changed_at"),
    Index("ix_directory_resources_entry", "tenant", "directory", "entry", unique=True),
    Index("ix_directory_resources_created_at", "tenant", "directory", "kind", "created_at", "id"),
)
"""People and groups of directories of the kind `scim`, by the id that the identity provider knows them by."""
Index(
    "ix_directory_resources_name",
    directory_resources.c.tenant,
    directory_resources.c.directory,
    directory_resources.c.kind,
    func.lower(directory_resources.c.name),
    unique=True,
)

refused_names = Table(
    "refused_names",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, primary_key=True, comment="whom ACLs of documents refuse, as their source calls them"),
    now_column("seen_at"),
)
"""Filled by a trigger when documents are written, which `seen_at` says to the hour (revocations.sql). Names that no
document refuses go after a day."""
