"""Rows of usage and budgets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection, Row, text

from rag_core.database import locks
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.usage.base import Budget, Owner, Usage

SET_BUDGET = "budget.set"
# In the order of the key, so that two processes that write the same tenants cannot deadlock.
_WRITE = text("""
INSERT INTO rag.usage (day, tenant, key_id, writer, calls, refused, prompt_tokens, completion_tokens)
SELECT :day, f.tenant, f.key_id, :writer, f.calls, f.refused, f.prompt_tokens, f.completion_tokens
FROM unnest(CAST(:tenants AS text[]), CAST(:keys AS text[]), CAST(:calls AS bigint[]), CAST(:refused AS bigint[]),
            CAST(:prompts AS bigint[]), CAST(:completions AS bigint[]))
    AS f (tenant, key_id, calls, refused, prompt_tokens, completion_tokens)
ORDER BY f.tenant, f.key_id
ON CONFLICT (day, tenant, key_id, writer) DO UPDATE
SET calls = excluded.calls, refused = excluded.refused, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens
""")
_BUDGETS = text("SELECT tenant, key_id, calls_per_day, model_tokens_per_day, documents FROM rag.budgets")
_OTHERS = text("""
SELECT b.tenant, b.key_id, coalesce(sum(u.calls), 0), coalesce(sum(u.refused), 0), coalesce(sum(u.prompt_tokens), 0),
       coalesce(sum(u.completion_tokens), 0)
FROM rag.budgets b
JOIN rag.usage u ON u.day = :day AND u.tenant = b.tenant AND (b.key_id = '' OR u.key_id = b.key_id)
WHERE u.writer <> :writer
GROUP BY b.tenant, b.key_id
""")


def write(connection: Connection, day: date, writer: str, rows: Mapping[Owner, Usage]) -> None:
    """Store what a process counted of a day so far, in the current transaction. Idempotent."""
    found = list(rows.items())
    connection.execute(
        _WRITE,
        {
            "day": day,
            "writer": writer,
            "tenants": [owner.tenant for owner, _ in found],
            "keys": [owner.key_id for owner, _ in found],
            "calls": [used.calls for _, used in found],
            "refused": [used.refused for _, used in found],
            "prompts": [used.prompt_tokens for _, used in found],
            "completions": [used.completion_tokens for _, used in found],
        },
    )


def budgets(connection: Connection) -> dict[Owner, Budget]:
    """All budgets."""
    return {Owner(row[0], row[1]): Budget(*row[2:]) for row in connection.execute(_BUDGETS)}


def others(connection: Connection, day: date, writer: str) -> dict[Owner, Usage]:
    """Return what other processes counted of a day, for everybody who has a budget."""
    rows = connection.execute(_OTHERS, {"day": day, "writer": writer})
    return {Owner(row[0], row[1]): _usage(row[2:]) for row in rows}


def _usage(row: Sequence[int] | Row[tuple[int, ...]]) -> Usage:
    return Usage(*(int(value) for value in row))


_MERGE = text("""
WITH ended AS (DELETE FROM rag.usage WHERE day < :today AND writer <> '' RETURNING *)
INSERT INTO rag.usage AS u (day, tenant, key_id, writer, calls, refused, prompt_tokens, completion_tokens)
SELECT day, tenant, key_id, '', sum(calls), sum(refused), sum(prompt_tokens), sum(completion_tokens)
FROM ended GROUP BY day, tenant, key_id ORDER BY 1, 2, 3
ON CONFLICT (day, tenant, key_id, writer) DO UPDATE
SET calls = u.calls + excluded.calls, refused = u.refused + excluded.refused,
    prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = u.completion_tokens + excluded.completion_tokens
""")
_PURGE = text("DELETE FROM rag.usage WHERE day < :before")


def maintain(connection: Connection, today: date, *, before: date) -> int:
    """Sum the rows of days that are over for long enough that no process writes to them, and delete those before
    `before`; returns how many were deleted."""
    connection.execute(_MERGE, {"today": today})
    return connection.execute(_PURGE, {"before": before}).rowcount


# --------------------------------------------------------------------------------------------------------------------
# Budgets.


_SET = text("""
INSERT INTO rag.budgets (tenant, key_id, calls_per_day, model_tokens_per_day, documents, set_by)
VALUES (:tenant, :key_id, :calls, :tokens, :documents, :actor)
ON CONFLICT (tenant, key_id) DO UPDATE
SET calls_per_day = excluded.calls_per_day, model_tokens_per_day = excluded.model_tokens_per_day,
    documents = excluded.documents, set_by = excluded.set_by, set_at = now()
""")
_REMOVE = text("DELETE FROM rag.budgets WHERE tenant = :tenant AND key_id = :key_id")
_BEFORE = text("""
SELECT calls_per_day, model_tokens_per_day, documents FROM rag.budgets
WHERE tenant = :tenant AND key_id = :key_id
""")


def set_budget(connection: Connection, owner: Owner, budget: Budget, *, actor: str, why: str = "") -> Budget:
    """Replace a budget, or remove it when it limits nothing; audited. Returns the one before."""
    before = _locked(connection, owner)
    _replace(connection, owner, before, budget, actor=actor, why=why)
    return before


def set_limits(connection: Connection, owner: Owner, limits: Mapping[str, int], *, actor: str, why: str = "") -> Budget:
    """Set some limits of a budget, by their names in `Budget`; audited. Returns the budget that results.

    The others stay as they are, also when somebody else sets them at the same time.
    """
    before = _locked(connection, owner)
    after = replace(before, **limits)
    _replace(connection, owner, before, after, actor=actor, why=why)
    return after


def _locked(connection: Connection, owner: Owner) -> Budget:
    """The budget now, which nobody else changes before this transaction ends."""
    # Not FOR UPDATE: a first budget has no row yet that could be locked.
    locks.lock_transaction(connection, f"budget/{owner.tenant}/{owner.key_id}")
    row = connection.execute(_BEFORE, {"tenant": owner.tenant, "key_id": owner.key_id}).one_or_none()
    return Budget(*row) if row is not None else Budget()


def _replace(connection: Connection, owner: Owner, before: Budget, budget: Budget, *, actor: str, why: str) -> None:
    place = {"tenant": owner.tenant, "key_id": owner.key_id}
    if budget.empty:
        connection.execute(_REMOVE, place)
    else:
        limits = {"calls": budget.calls_per_day, "tokens": budget.model_tokens_per_day, "documents": budget.documents}
        connection.execute(_SET, {**place, **limits, "actor": actor})
    audit.record(
        connection,
        actor=actor,
        action=SET_BUDGET,
        target=owner.key_id or owner.tenant,
        details={"before": _said(before), "after": _said(budget)} | ({"reason": why} if why else {}),
        tenant=owner.tenant,
    )


def _said(budget: Budget) -> dict[str, int]:
    named = {
        "calls_per_day": budget.calls_per_day,
        "model_tokens_per_day": budget.model_tokens_per_day,
        "documents": budget.documents,
    }
    return {name: value for name, value in named.items() if value is not None}


# --------------------------------------------------------------------------------------------------------------------
# Reading.


@dataclass(frozen=True, slots=True)
class Day:
    """Usage of an owner on a day."""

    at: date
    owner: Owner
    usage: Usage


_DAYS = text("""
SELECT day, tenant, key_id, sum(calls), sum(refused), sum(prompt_tokens), sum(completion_tokens)
FROM rag.usage WHERE day >= :since AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant)
    AND (CAST(:day AS date) IS NULL OR day < :day OR day = :day AND (tenant, key_id) > (:after_tenant, :after_key))
GROUP BY day, tenant, key_id ORDER BY day DESC, tenant, key_id LIMIT :limit
""")


def days(
    connection: Connection, *, since: date, tenant: str | None, limit: int, after: tuple[date, Owner] | None = None
) -> list[Day]:
    """Usage by day and API key (an empty one: calls with a token), newest first, of a tenant or of all."""
    day, owner = after or (None, Owner(""))
    behind = {"day": day, "after_tenant": owner.tenant, "after_key": owner.key_id}
    rows = connection.execute(_DAYS, {"since": since, "tenant": tenant, "limit": limit, **behind})
    return [Day(row[0], Owner(row[1], row[2]), _usage(row[3:])) for row in rows]


_CALLS = text("SELECT coalesce(sum(calls), 0) FROM rag.usage WHERE day >= :since")


def count_calls(connection: Connection, *, since: date) -> int:
    """Count the calls of all clients since a day."""
    return int(connection.execute(_CALLS, {"since": since}).scalar_one())


_DOCUMENTS = text("""
SELECT tenant, count(*) FROM rag.documents
WHERE deleted_at IS NULL AND (CAST(:tenant AS text) IS NULL OR tenant = :tenant) GROUP BY tenant
""")


def documents(connection: Connection, *, tenant: str | None) -> dict[str, int]:
    """Stored documents by tenant."""
    return {row[0]: row[1] for row in connection.execute(_DOCUMENTS, {"tenant": tenant})}


# --------------------------------------------------------------------------------------------------------------------
# The budget of stored documents. Only tenants with one pay for the count.


_LIMIT = text("SELECT documents FROM rag.budgets WHERE tenant = :tenant AND key_id = ''")
_KNOWN = text("""
SELECT EXISTS (SELECT FROM rag.documents WHERE doc_id = :doc_id AND deleted_at IS NULL)
    OR EXISTS (SELECT FROM rag.inbox WHERE doc_id = :doc_id AND applied_at IS NULL AND operation = 'put')
""")
_STORED = text("""
SELECT (SELECT count(*) FROM rag.documents WHERE tenant = :tenant AND deleted_at IS NULL)
     + (SELECT count(DISTINCT i.doc_id) FROM rag.inbox i WHERE i.tenant = :tenant AND i.applied_at IS NULL
        AND i.operation = 'put' AND NOT EXISTS (
            SELECT FROM rag.documents d WHERE d.doc_id = i.doc_id AND d.deleted_at IS NULL))
""")


def document_limit(connection: Connection, tenant: str) -> int | None:
    """The budget of stored documents; `None`: no budget."""
    limit = connection.scalar(_LIMIT, {"tenant": tenant})
    return None if limit is None else int(limit)


def count_documents(connection: Connection, tenant: str) -> int:
    """Count the documents that are stored or wait in the inbox. Reads an index entry of each."""
    return int(connection.scalar(_STORED, {"tenant": tenant}) or 0)


def is_stored(connection: Connection, doc_id: uuid.UUID) -> bool:
    """Return whether a document is stored or waits in the inbox."""
    return bool(connection.scalar(_KNOWN, {"doc_id": doc_id}))
