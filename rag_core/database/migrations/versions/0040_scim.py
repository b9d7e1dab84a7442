"""Directories that an identity provider pushes to by SCIM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rag_core.database.tables.directories import directories, directory_members, directory_resources
from rag_core.database.tables.operations import api_keys

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and the columns by which a key finds its directory."""
    directory_resources.create(op.get_bind(), checkfirst=True)
    next(index for index in directory_members.indexes if index.name == "ix_directory_members_group").create(
        op.get_bind(), checkfirst=True
    )
    for table, name in ((api_keys, "directory"), (directories, "subject")):
        column = sa.Column(name, sa.Text, comment=table.c[name].comment)
        op.add_column(table.name, column, schema="rag", if_not_exists=True)
