"""`rag token`: an access token for the local stack."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ragctl.output import Json, emit_json, say


def token(
    *,
    subject: str = "developer",
    tenant: str = "default",
    scope: Annotated[tuple[str, ...], Parameter(negative="")] = ("query.read", "admin"),
    group: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    lifetime: int = 3600,
    json: Json = False,
) -> None:
    """Mint an access token for the local stack and print it.

    Example: curl -H "authorization: Bearer $(rag token)" -d '{"query": "..."}' http://127.0.0.1:8080/api/v1/query

    Parameters
    ----------
    subject
        Who the token stands for.
    tenant
        The one tenant whose documents it opens.
    scope
        What it may do; give it several times for several scopes.
    group
        Groups whose documents it opens.
    lifetime
        Seconds until it expires.
    """
    from rag_core.settings import Settings
    from ragctl.tokens import mint_token

    text = mint_token(Settings.load(), subject=subject, tenant=tenant, scopes=scope, groups=group, lifetime=lifetime)
    if json:
        emit_json({"token": text, "subject": subject, "tenant": tenant, "scopes": list(scope), "expires_in": lifetime})
    else:
        say(text)
