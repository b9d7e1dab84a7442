"""Second factor of local accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rag_core.database.tables.operations import console_accounts

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns: no account has one yet."""
    for name, kind in (("second_factor", sa.LargeBinary), ("second_factor_step", sa.BigInteger)):
        comment = console_accounts.c[name].comment
        op.add_column("console_accounts", sa.Column(name, kind, comment=comment), schema="rag")
