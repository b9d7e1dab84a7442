"""Two database roles: the owner of the schema, and the services.

The services read and write every row but those of the audit log, to which they only append: nothing that they run as
can change, remove or truncate what is on record, or take the protection away.
"""

from __future__ import annotations

from sqlalchemy import Connection, make_url, text

from rag_core.database.tables.base import SCHEMA

OWNER = "rag_owner"
"""The owner of the embedded server's schema. Elsewhere the URLs name both roles."""
_APPEND_ONLY = ("audit", "audit_heads", "audit_checkpoints")


def role_of(url: str) -> str | None:
    """The role a URL connects as."""
    return make_url(url).username


def grant(connection: Connection, services: str) -> None:
    """Let the services' role use the schema of the owner, who is connected. Idempotent."""
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
    """Whether the connected role could change or remove what is on record, or give itself the right to."""
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
