"""S30: what production asks of the key to Qdrant."""

from __future__ import annotations

import secrets
import time
from typing import Any

import jwt
import pytest

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings

HOUR = time.time() + 3600


def production(qdrant_key: str) -> Settings:
    return Settings(
        environment="production",
        database_url="postgresql://rag:a-long-password-of-ours@db/rag",
        jwt_jwks_url="https://idp.example.com/keys",
        qdrant_url="https://qdrant.example.com:6334",
        qdrant_api_key=qdrant_key,
        qdrant_prefix="acme",
    )


def token(**claims: Any) -> str:
    return jwt.encode(claims, secrets.token_hex(32), algorithm="HS256")


@pytest.mark.catalogue("S30")
@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": HOUR}, "without `access`"),
        ({"access": "", "exp": HOUR}, "without `access`"),
        ({"access": "r"}, "without `exp`"),
        ({"access": "r", "exp": time.time() - 1}, "expired"),
    ],
)
def test_a_qdrant_token_that_opens_everything_or_never_ends_is_refused(claims: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        production(token(**claims)).require_production_secrets()
    assert refused.value.reason is Reason.SECRET_WEAK


@pytest.mark.catalogue("S30")
@pytest.mark.parametrize(
    "key",
    [token(access=[{"collection": "rag", "access": "rw"}], exp=HOUR), secrets.token_urlsafe(40)],
    ids=["token", "server key"],
)
def test_a_bounded_token_and_the_servers_own_key_are_taken(key: str) -> None:
    production(key).require_production_secrets()


def test_production_names_its_collections_on_a_qdrant_server() -> None:
    settings = production(token(access="r", exp=HOUR))
    settings.require_production_secrets()
    unnamed = settings.model_copy(update={"qdrant_prefix": None})
    with pytest.raises(ConfigError, match="RAG_QDRANT_PREFIX") as refused:
        unnamed.require_production_secrets()
    assert refused.value.reason is Reason.CONFIG_INVALID
