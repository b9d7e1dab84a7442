"""Who may call: a verified identity with the method's scope, or the local secret for the index service."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from query_server.calls import Call
from query_server.identities import Identities
from query_server.interceptors.chain import Layer
from query_server.policies import POLICIES, allows
from rag_core.errors import PermissionDenied, Reason, Unauthenticated
from rag_core.index.wire import SECRET_KEY


def require_identity(identities: Identities) -> Layer:
    """Verify the credentials and check the scope of the policy table; a method without a policy is refused."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        call.identity = await identities.identify(call)
        policy = POLICIES.get(call.method)
        if policy is None or not allows(call.identity.scopes, policy.scope):
            wanted = policy.scope if policy else "none that can be granted"
            raise PermissionDenied(Reason.SCOPE_MISSING, f"this method needs the scope {wanted}")
        yield

    return layer


def require_index_secret(secrets: Sequence[bytes]) -> Layer:
    """Compare with each of the local secrets in constant time. None configured admits nobody."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncIterator[None]:
        given = (call.header(SECRET_KEY) or "").encode("utf-8", "surrogatepass")
        if not any(hmac.compare_digest(given, expected) for expected in secrets):
            raise Unauthenticated(Reason.TOKEN_INVALID, f"{SECRET_KEY}: missing or wrong")
        yield

    return layer
