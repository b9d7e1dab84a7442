"""Rows of a table or of a read-only query as a source: PostgreSQL, MySQL and SQLite."""
