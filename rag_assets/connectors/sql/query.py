"""Reading a query before any database does: one SELECT, nothing that writes, locks or reaches outside the database."""

from __future__ import annotations

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rag_core.errors import InvalidInput, Reason

_DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
_FORBIDDEN = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Pragma, exp.Set, exp.Transaction, exp.Copy)
# The query runs in a read-only transaction by a role that may only read; these could do harm all the same: read files
# of the server, reach other hosts, change the session's own limits, or hold a connection without working.
_FUNCTIONS = re.compile(
    r"^(pg_(?!typeof$|column_size$|client_encoding$)\w+|lo_\w+|dblink\w*|set_config|setval|nextval|query_to_xml\w*"
    r"|cursor_to_xml\w*|database_to_xml\w*|load_file|load_extension|readfile|writefile|edit|fts3_tokenizer|sleep"
    r"|benchmark|get_lock|release_lock\w*|release_all_locks|is_free_lock|sys_\w+|xp_\w+|zeroblob|randomblob"
    r"|master_pos_wait|wait_for_executed_gtid_set|txid_\w+)$",
    re.IGNORECASE,
)


def read_only_query(query: str, driver: str) -> str:
    """The query as it will be run: written anew from what was understood, without its comments.

    Raises `InvalidInput` (`QUERY_NOT_READ_ONLY`) unless it is exactly one SELECT that only reads.
    """
    dialect = _DIALECTS[driver]
    try:
        statements = [statement for statement in sqlglot.parse(query, read=dialect) if statement is not None]
    except (SqlglotError, RecursionError):
        raise _refused("it could not be understood") from None
    if len(statements) != 1:
        raise _refused("it must be exactly one statement")
    (statement,) = statements
    if not isinstance(statement, exp.Query):
        raise _refused("it must be a SELECT")
    for node in statement.walk():
        _check(node)
    return statement.sql(dialect=dialect, comments=False)


def _check(node: exp.Expr) -> None:
    if isinstance(node, _FORBIDDEN) and not isinstance(node, exp.Query):
        raise _refused(f"it contains {node.key.upper()}")
    if isinstance(node, exp.Parameter | exp.SessionParameter | exp.Placeholder):
        raise _refused("it contains a variable or a placeholder")
    if isinstance(node, exp.Func):
        names = [*node.sql_names(), node.name] if isinstance(node, exp.Anonymous) else node.sql_names()
        if any(_FUNCTIONS.match(str(name)) for name in names):
            raise _refused("it calls a function that acts on the server")


def _refused(why: str) -> InvalidInput:
    return InvalidInput(Reason.QUERY_NOT_READ_ONLY, f"query: {why}; a source runs one SELECT that only reads")
