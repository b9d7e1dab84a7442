"""`rag budget` and `rag usage`: what tenants and API keys use, and what they may use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.governance import access
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit_json, say, table

if TYPE_CHECKING:
    from rag_core.governance.usage import Budget, Owner, Usage

app = App(name="budget", help="Budgets of tenants and API keys: show, set, remove.", help_format="plaintext")
MAX_DAYS = 400
_ROWS = 10_000


def usage(*, tenant: str | None = None, days: int = 1, json: Json = False) -> None:
    """Show what tenants and API keys used: calls, refusals, model tokens by day (UTC), and stored documents.

    Example: rag usage --tenant acme --days 30

    Parameters
    ----------
    tenant
        Only this tenant.
    days
        Days to look back, today included, 400 at most.
    """
    from rag_core.governance.usage import store

    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(Reason.USAGE, f"--days: 1 to {MAX_DAYS}")
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    with transaction() as connection:
        found = store.days(connection, since=since, tenant=tenant, limit=_ROWS)
        documents = store.documents(connection, tenant=tenant)
    rows = [{"day": row.at.isoformat(), **_owner(row.owner), **_used(row.usage)} for row in found]
    if json:
        emit_json({"days": rows, "documents": documents})
        return
    columns = ("day", "tenant", "key", "calls", "refused", "tokens read", "tokens written")
    table(columns, [list(row.values()) for row in rows], empty="no calls")
    table(("tenant", "stored documents"), [list(item) for item in sorted(documents.items())], empty="no documents")


@app.command
def show(*, tenant: str | None = None, json: Json = False) -> None:
    """Show budgets, what of them is used today, and when they renew.

    Example: rag budget show --tenant acme

    Parameters
    ----------
    tenant
        Only budgets of this tenant and its keys.
    """
    from rag_core.governance.usage import Usage as Used
    from rag_core.governance.usage import renewal, store

    now = datetime.now(UTC)
    with transaction() as connection:
        budgets = {
            owner: one for owner, one in sorted(store.budgets(connection).items()) if tenant in (None, owner.tenant)
        }
        used = store.others(connection, now.date(), writer="")
        documents = store.documents(connection, tenant=tenant)
    rows = [
        {**_owner(owner), **_shown(one, used.get(owner, Used()), documents.get(owner.tenant, 0), owner)}
        for owner, one in budgets.items()
    ]
    if json:
        emit_json({"budgets": rows, "renews_at": renewal(now)})
        return
    columns = ("tenant", "key", "calls a day", "model tokens a day", "stored documents")
    table(columns, [[row["tenant"], row["key"], *_cells(row)] for row in rows], empty="no budgets: nothing is limited")
    if rows:
        say(f"budgets of a day renew at {renewal(now):%Y-%m-%d %H:%M} UTC")


@app.command(name="set")
def set_(
    tenant: str,
    /,
    *,
    key: str = "",
    calls: Annotated[int | None, Parameter(name="--calls-per-day")] = None,
    tokens: Annotated[int | None, Parameter(name="--model-tokens-per-day")] = None,
    documents: int | None = None,
    reason: str = "",
    json: Json = False,
) -> None:
    """Set the budget of a tenant or of one of its API keys; limits that are not given stay as they are.

    The query servers follow within two seconds. Recorded in the audit log.

    Example: rag budget set acme --calls-per-day 10000 --model-tokens-per-day 2000000 --documents 50000

    Parameters
    ----------
    tenant
        Name of the tenant.
    key
        Id of an API key of it (`rag key list`): the budget is that key's, within the tenant's.
    calls
        Searches, answers and calls of the documents API in a day (UTC).
    tokens
        Tokens that models read and write in a day. Then answers are quotes of the sources.
    documents
        Documents that the tenant may store.
    reason
        Why, for the audit log.
    """
    from rag_core.governance.usage import Budget, Owner, require_budget, store

    given = {"calls_per_day": calls, "model_tokens_per_day": tokens, "documents": documents}
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise InvalidInput(Reason.USAGE, "give --calls-per-day, --model-tokens-per-day or --documents")
    owner = Owner(tenant, key)
    require_budget(owner, Budget(**wanted))
    with transaction() as connection:
        _require_key(connection, owner)
        after = store.set_limits(connection, owner, wanted, actor=actor(), why=reason)
    _report(owner, after, json=json)


@app.command
def remove(tenant: str, /, *, key: str = "", reason: str = "", json: Json = False) -> None:
    """Remove the budget of a tenant or of one of its API keys: nothing limits it then. Recorded in the audit log.

    Example: rag budget remove acme

    Parameters
    ----------
    tenant
        Name of the tenant.
    key
        Id of an API key of it: only that key's budget.
    reason
        Why, for the audit log.
    """
    from rag_core.governance.usage import Budget, Owner, require_budget, store

    owner = Owner(tenant, key)
    require_budget(owner, Budget())
    with transaction() as connection:
        store.set_budget(connection, owner, Budget(), actor=actor(), why=reason)
    _report(owner, Budget(), json=json)


def _require_key(connection: Any, owner: Owner) -> None:
    if owner.key_id and access.get_key(connection, owner.key_id).tenant != owner.tenant:
        message = f"no key {owner.key_id!r} of tenant {owner.tenant}; see `rag key list`"
        raise NotFound(Reason.API_KEY_NOT_FOUND, message)


def _report(owner: Owner, budget: Budget, *, json: bool) -> None:
    limits = {
        "calls_per_day": budget.calls_per_day,
        "model_tokens_per_day": budget.model_tokens_per_day,
        "documents": budget.documents,
    }
    if json:
        emit_json({**_owner(owner), **limits})
        return
    named = f"key {owner.key_id} of tenant {owner.tenant}" if owner.key_id else f"tenant {owner.tenant}"
    said = [f"{value:,} {name.replace('_', ' ')}" for name, value in limits.items() if value is not None]
    say(f"{named}: {', '.join(said) or 'no budget'}")


def _owner(owner: Owner) -> dict[str, str]:
    return {"tenant": owner.tenant, "key": owner.key_id}


def _used(used: Usage) -> dict[str, int]:
    return {
        "calls": used.calls,
        "refused": used.refused,
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
    }


def _shown(budget: Budget, used: Usage, documents: int, owner: Owner) -> dict[str, int | None]:
    return {
        "calls_per_day": budget.calls_per_day,
        "calls_used": used.calls,
        "model_tokens_per_day": budget.model_tokens_per_day,
        "model_tokens_used": used.model_tokens,
        "documents": budget.documents,
        "documents_stored": None if owner.key_id else documents,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    pairs = (
        ("calls_used", "calls_per_day"),
        ("model_tokens_used", "model_tokens_per_day"),
        ("documents_stored", "documents"),
    )
    return ["no limit" if row[limit] is None else f"{row[used]:,} of {row[limit]:,}" for used, limit in pairs]
