"""Access: tokens, signing keys, API keys, revocations, and revocations that the index has not applied yet."""

from rag_core.access import store
from rag_core.access.api_keys import ApiKey, invalid_key, parse_api_key
from rag_core.access.key_source import FileKeys, KeySource, UrlKeys
from rag_core.access.keyed_hash import NameHash
from rag_core.access.keys import generate_key, mint
from rag_core.access.store import (
    NewKey,
    PendingRevocation,
    StoredKey,
    create_key,
    end_session,
    find_key,
    list_keys,
    listen,
    pending_revocations,
    record_use,
    revocations,
    revoke_key,
    revoke_tokens,
)
from rag_core.access.tokens import (
    EVERYONE,
    Principal,
    TokenRules,
    TokenVerifier,
    UnknownKey,
    VerifiedToken,
    require_identity_names,
    session_of,
)

__all__ = [
    "EVERYONE",
    "ApiKey",
    "FileKeys",
    "KeySource",
    "NameHash",
    "NewKey",
    "PendingRevocation",
    "Principal",
    "StoredKey",
    "TokenRules",
    "TokenVerifier",
    "UnknownKey",
    "UrlKeys",
    "VerifiedToken",
    "create_key",
    "end_session",
    "find_key",
    "generate_key",
    "invalid_key",
    "list_keys",
    "listen",
    "mint",
    "parse_api_key",
    "pending_revocations",
    "record_use",
    "require_identity_names",
    "revocations",
    "revoke_key",
    "revoke_tokens",
    "session_of",
    "store",
]
