"""Access: tokens, signing keys, API keys, revocations, and revocations that the index has not applied yet."""

from rag_core.access import store
from rag_core.access.account_store import (
    FIRST_ACCOUNT,
    create_account,
    create_first_account,
    find_account,
    get_account,
    import_accounts,
    list_accounts,
    put_account,
    record_failure,
    record_sign_in,
    remove_account,
    unlock_account,
)
from rag_core.access.accounts import (
    PLATFORM_SCOPE,
    ROLE_SCOPES,
    Account,
    NewAccount,
    Role,
    new_password,
    password_matches,
    require_role,
)
from rag_core.access.api_keys import ApiKey, invalid_key, parse_api_key
from rag_core.access.key_source import FileKeys, KeySource, UrlKeys
from rag_core.access.keyed_hash import NameHash
from rag_core.access.keys import generate_key, mint
from rag_core.access.session_store import (
    Session,
    end_open_session,
    find_session,
    get_session,
    list_sessions,
    record_sessions,
)
from rag_core.access.store import (
    NewKey,
    PendingRevocation,
    StoredKey,
    TokenRevocation,
    create_key,
    end_session,
    find_key,
    get_key,
    list_keys,
    list_token_revocations,
    listen,
    pending_revocations,
    record_use,
    revocations,
    revoke_key,
    revoke_tokens,
)
from rag_core.access.tokens import (
    EVERYONE,
    SESSION_MARK,
    Principal,
    TokenRules,
    TokenVerifier,
    UnknownKey,
    VerifiedToken,
    require_identity_names,
    session_of,
)
