"""Names that documents refuse, so that those which no directory knows hide the documents."""

from __future__ import annotations

from alembic import op

from rag_core.database.tables.directories import directory_entries, refused_names

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, filled from the documents."""
    refused_names.create(op.get_bind(), checkfirst=True)
    next(index for index in directory_entries.indexes if index.name == "ix_directory_entries_names").create(
        op.get_bind(), checkfirst=True
    )
    op.execute("""
INSERT INTO rag.refused_names (tenant, name)
SELECT DISTINCT d.tenant, substr(a.entry, 6) FROM rag.documents d CROSS JOIN LATERAL unnest(d.acl) AS a(entry)
WHERE a.entry LIKE 'deny:%/%' AND a.entry !~ '^deny:(user|group):'
""")
