"""Registers the kind `sql`: rows of a table, view or query."""

from __future__ import annotations

from rag_assets.connectors.kind import Browse, Card, ConnectorKind, FormField, imported
from rag_assets.connectors.sql.options import DatabaseOptions, SqlOptions

_SERVER = ("database.driver", ("postgresql", "mysql"))
_BROWSE = Browse("List tables and columns", DatabaseOptions, imported("rag_assets.connectors.sql.browse:list_tables"))
KIND = ConnectorKind(SqlOptions, imported("rag_assets.connectors.sql.connector:SqlConnector"), (
    Card("sql", "SQL table", "One document for each row of a table or view.", "table", "table", (
        FormField("database.driver", "Database", "choice", default="postgresql",
                  choices=("postgresql", "mysql", "sqlite")),
        FormField("database.host", "Host", required=True, only=_SERVER),
        FormField("database.port", "Port (empty: 5432 or 3306)", "port", only=_SERVER),
        FormField("database.name", "Name of the database", required=True, only=_SERVER),
        FormField("database.user", "User that may only read", required=True, only=_SERVER),
        FormField("database.password", "Password", "secret", only=_SERVER),
        FormField("database.path", "File (absolute path)", required=True, only=("database.driver", ("sqlite",))),
        FormField("table", "Table or view", required=True, offered="table", narrows=True),
        FormField("key", "Key columns", "list", required=True, offered="column"),
        FormField("updated_at", "Column of the last change", required=True, offered="column"),
        FormField("content", "Columns of the text", "list", required=True, offered="column"),
        FormField("title", "Column of the title", offered="column"),
    )),
), readers="file or source", libraries=("sqlglot",), browse=_BROWSE)  # fmt: skip
