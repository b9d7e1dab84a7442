"""`rag token`: access tokens for the local stack, and revocation of tokens of any issuer."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from rag_core.governance import access
from ragctl.output import Json, emit, emit_json, table

app = App(
    name="token",
    help="Mint an access token for the local stack, or revoke tokens.\n\nExample: TOKEN=$(rag token --tenant acme)",
    help_format="plaintext",
)


@app.default
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
        Subject (`sub`) of the token.
    tenant
        Tenant of the token; it has no access to any other.
    scope
        Scope of the token; may be repeated. `admin` allows everything within the tenant; what tenants share
        (generations, deployments, runs of others) needs `platform.read` or `platform.admin`.
    group
        Groups whose documents the token may read; may be repeated.
    lifetime
        Seconds until it expires.
    """
    from rag_core.settings import Settings
    from ragctl.tokens import mint_token, require_known_scopes

    require_known_scopes(scope)
    text = mint_token(Settings.load(), subject=subject, tenant=tenant, scopes=scope, groups=group, lifetime=lifetime)
    emit(
        {"token": text, "subject": subject, "tenant": tenant, "scopes": list(scope), "expires_in": lifetime},
        text,
        json=json,
    )


@app.command
def revoke(subject: str, /, *, tenant: str = "default", json: Json = False) -> None:
    """Revoke every token issued to a subject until now, within a second. New tokens work. Recorded in the audit log.

    Example: rag token revoke ann@example.org --tenant acme

    Parameters
    ----------
    subject
        The `sub` claim of the tokens.
    tenant
        Tenant of the subject.
    """
    from rag_core.settings import Settings
    from ragctl.commands._shared import actor, transaction

    lifetime = Settings.load().longest_token_seconds
    access.require_identity_names(tenant, subject=(subject,))
    with transaction() as connection:
        before = access.revoke_tokens(connection, tenant=tenant, subject=subject, lifetime=lifetime, actor=actor())
    emit(
        {"revoked": subject, "tenant": tenant, "issued_before": before},
        f"{subject}: tokens issued before {before:%Y-%m-%d %H:%M:%S} UTC are refused",
        json=json,
    )


@app.command
def revocations(*, tenant: str | None = None, json: Json = False) -> None:
    """List the subjects whose tokens were revoked, newest first, for as long as such tokens could be valid.

    Example: rag token revocations --tenant acme

    Parameters
    ----------
    tenant
        Only subjects of this tenant.
    """
    from ragctl.commands._shared import transaction

    with transaction() as connection:
        rows = access.list_token_revocations(connection, tenant=tenant)
    if json:
        emit_json([asdict(row) for row in rows])
        return
    cells = [[row.tenant, row.subject, f"{row.before:%Y-%m-%d %H:%M:%S}", row.revoked_by] for row in rows]
    table(("tenant", "subject", "issued before (UTC)", "revoked by"), cells, empty="no revoked tokens")


@app.command
def rotate(*, json: Json = False) -> None:
    """Create a new signing key for the local stack. Tokens of the old key stay valid until `rag token retire`.

    Example: rag token rotate
    """
    from rag_core.settings import Settings
    from ragctl.tokens import rotate_keys

    kids = rotate_keys(Settings.load())
    emit({"keys": kids}, f"signing with {kids[-1]}; {len(kids)} keys verify", json=json)


@app.command
def retire(*, json: Json = False) -> None:
    """Remove all signing keys but the newest; tokens of the older keys are refused within seconds.

    Example: rag token retire
    """
    from rag_core.settings import Settings
    from ragctl.tokens import retire_keys

    kids = retire_keys(Settings.load())
    emit({"keys": kids}, f"only {kids[-1]} verifies now", json=json)
