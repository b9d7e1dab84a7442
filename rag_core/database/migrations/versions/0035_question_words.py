"""A switch per tenant: whether the texts of questions without an answer are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Without a value the setting decides, as before."""
    op.add_column("tenants", sa.Column("question_words", sa.Boolean), schema="rag")
