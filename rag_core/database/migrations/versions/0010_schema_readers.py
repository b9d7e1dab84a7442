"""The oldest program that can read this schema, so that a query server can run beside the next release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCHEMA = "rag"
OLDEST = "0009"


def upgrade() -> None:
    """Create the table with its first row; the highest row counts."""
    readers = op.create_table(
        "schema_readers",
        sa.Column(
            "oldest",
            sa.Text(),
            nullable=False,
            comment="revision whose query servers can read this schema; a migration that contracts adds a higher one",
        ),
        sa.PrimaryKeyConstraint("oldest", name=op.f("pk_schema_readers")),
        schema=SCHEMA,
    )
    op.bulk_insert(readers, [{"oldest": OLDEST}])
