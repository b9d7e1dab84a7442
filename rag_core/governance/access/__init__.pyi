from . import store as store
from .account_store import (
    FIRST_ACCOUNT as FIRST_ACCOUNT,
    create_account as create_account,
    create_first_account as create_first_account,
    find_account as find_account,
    get_account as get_account,
    list_accounts as list_accounts,
    put_account as put_account,
    put_second_factor as put_second_factor,
    record_failure as record_failure,
    record_sign_in as record_sign_in,
    remove_account as remove_account,
    reseal_second_factors as reseal_second_factors,
    unlock_account as unlock_account,
)
from .accounts import (
    PLATFORM_SCOPE as PLATFORM_SCOPE,
    ROLE_SCOPES as ROLE_SCOPES,
    Account as Account,
    AccountSecrets as AccountSecrets,
    NewAccount as NewAccount,
    AccountRole as AccountRole,
    new_password as new_password,
    password_matches as password_matches,
    require_role as require_role,
)
from .acl import (
    ACL_PATTERN as ACL_PATTERN,
    DENY as DENY,
    EVERYONE as EVERYONE,
    admits as admits,
    denials as denials,
    is_acl_entry as is_acl_entry,
    is_source_name as is_source_name,
    without_refused as without_refused,
)
from .api_keys import KEY_MARK as KEY_MARK, ApiKey as ApiKey, invalid_key as invalid_key, parse_api_key as parse_api_key
from .key_source import FileKeys as FileKeys, KeySource as KeySource, UrlKeys as UrlKeys
from .keyed_hash import NameHash as NameHash
from .second_factor import (
    code_at as code_at,
    new_second_factor as new_second_factor,
    open_second_factor as open_second_factor,
    setup_key as setup_key,
    setup_uri as setup_uri,
    step_of_code as step_of_code,
)
from .signing import generate_key as generate_key, mint as mint
from .session_store import (
    Session as Session,
    end_open_session as end_open_session,
    find_session as find_session,
    get_session as get_session,
    list_sessions as list_sessions,
    record_sessions as record_sessions,
)
from .store import (
    NewKey as NewKey,
    PendingRevocation as PendingRevocation,
    StoredKey as StoredKey,
    TokenRevocation as TokenRevocation,
    create_key as create_key,
    end_session as end_session,
    find_key as find_key,
    get_key as get_key,
    list_keys as list_keys,
    list_token_revocations as list_token_revocations,
    announce as announce,
    listen as listen,
    pending_revocations as pending_revocations,
    record_use as record_use,
    revocations as revocations,
    revoke_key as revoke_key,
    revoke_tokens as revoke_tokens,
)
from .tokens import (
    SESSION_MARK as SESSION_MARK,
    Principal as Principal,
    TokenRules as TokenRules,
    TokenVerifier as TokenVerifier,
    UnknownKey as UnknownKey,
    VerifiedToken as VerifiedToken,
    require_identity_names as require_identity_names,
    session_of as session_of,
)
