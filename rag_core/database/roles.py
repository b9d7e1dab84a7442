"""The two database roles: the owner of the schema, and the services.

The services' role reads and writes every table except the audit log, which it can only append to: it cannot change,
delete or truncate audit entries, nor remove their protection.
"""

from __future__ import annotations

from sqlalchemy import Connection, make_url, text

from rag_core.database.tables.base import SCHEMA

OWNER = "rag_owner"
"""The owner of the embedded server's schema. With another server the URLs name both roles."""
_APPEND_ONLY = ("audit", "audit_heads", "audit_checkpoints")


def role_of(url: str) -> str | None:
    """The role that a URL connects as."""
    return make_url(url).username


def grant(connection: Connection, services: str) -> None:
    """Grant the services' role access to the schema. The connection is the owner's. Idempotent."""
    role = connection.dialect.identifier_preparer.quote(services)
    tables = f"ALL TABLES IN SCHEMA {SCHEMA}"
    for statement in (
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {tables} TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {role}",
        *(f"REVOKE ALL ON {SCHEMA}.{table} FROM {role}" for table in _APPEND_ONLY),
        *(f"GRANT SELECT ON {SCHEMA}.{table} TO {role}" for table in _APPEND_ONLY),
        f"GRANT INSERT ON {SCHEMA}.audit TO {role}",
    ):
        connection.execute(text(statement))


def may_change_audit(connection: Connection) -> bool:
    """Return whether the connected role could change or delete audit entries, or grant itself the right to."""
    return bool(
        connection.scalar(
            text(
                "SELECT rolsuper OR pg_has_role(c.relowner, 'MEMBER')"
                " OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')"
                " OR has_table_privilege(c.oid, 'TRUNCATE')"
                " FROM pg_class c, pg_roles r WHERE c.oid = 'rag.audit'::regclass AND r.rolname = current_user"
            )
        )
    )
