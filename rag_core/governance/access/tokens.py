"""Verify signed access tokens against the keys of an issuer.

Only the claims of a verified token become a `Principal`. PyJWT checks signatures; claims are checked here, because
PyJWT accepts a missing or non-numeric `exp` and a missing `sub`. Every check fails closed.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt

from rag_core.errors import InvalidInput, PermissionDenied, Reason, Unauthenticated
from rag_core.governance.access.acl import EVERYONE
from rag_core.governance.access.key_source import FileKeys, KeySource
from rag_core.governance.access.keys import VerificationKey

MAX_TOKEN_CHARS = 8192
CACHE_ENTRIES = 10_000
MAX_GROUPS = 256

_TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# Each of these lets a token carry or refer to its own key, or changes how it must be read (RFC 8725, section 3).
_FORBIDDEN_HEADERS = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "enc"})
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# JSON can contain a lone surrogate, but UTF-8 cannot: storing, sending or hashing such a name would fail.
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_SCOPES = re.compile(r"[\x20-\x7e]{0,4096}")
_LATEST_TIME = 2**40
"""Seconds. A later numeric date is invalid and would overflow date arithmetic."""
SESSION_MARK = "\x1f"
"""First character of a session in revocations: no `sub` may contain it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. Built only by token verification; nothing in a request can widen it."""

    subject: str
    tenant: str
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    directory_entries: tuple[str, ...] = ()
    """ACL entries that the directories of the tenant give the caller now."""

    @property
    def actor(self) -> str:
        """The one name of this person or key in the audit log, whichever way they came."""
        return f"{self.tenant}/{self.subject}"

    @property
    def acl_entries(self) -> tuple[str, ...]:
        """The ACL entries this caller matches, any of which opens a document."""
        named = (EVERYONE, f"user:{self.subject}", *(f"group:{group}" for group in self.groups))
        return tuple(dict.fromkeys((*named, *self.directory_entries)))


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Requirements for a token: issuer, audience, maximum lifetime and clock leeway in seconds.

    `platform_groups` are pairs of a group and the scope that its members have in addition to the token's.
    """

    issuer: str
    audience: str
    max_lifetime: int
    leeway: int
    platform_groups: tuple[tuple[str, str], ...] = ()


class UnknownKey(Unauthenticated):
    """A well-formed token with an unknown key id."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A verified token. `issued` and `expires` are Unix times in seconds, `session` identifies the token."""

    principal: Principal
    issued: float
    expires: float
    session: str = ""


def session_of(token: str) -> str:
    """The id of one token in revocations; it begins with a character that no `sub` may contain.

    It leaves out the signature, because every ECDSA signature has a second valid form.
    """
    signed = token.rpartition(".")[0]
    return SESSION_MARK + hashlib.sha256(signed.encode("utf-8", "surrogatepass")).hexdigest()


class TokenVerifier:
    """Verifies tokens against keys that may change at run time. Thread-safe.

    Verified tokens are cached by hash, so that repeated calls need no signature check. Expiry is checked every time; a
    change of the keys clears the cache.
    """

    def __init__(self, keys: KeySource | Path, rules: TokenRules, *, clock: Callable[[], float] = time.time) -> None:
        """`keys` may be the path of a JWKS file. Raises `ConfigError` when it is missing or invalid."""
        self._source: KeySource = FileKeys(keys) if isinstance(keys, Path) else keys
        self._rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._known_by: Mapping[str, VerificationKey] = {}
        self._cache: OrderedDict[bytes, VerifiedToken] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The caller that a token identifies. Raises as `check`."""
        return self.check(token).principal

    def check(self, token: str) -> VerifiedToken:
        """Verify a token and return its claims.

        Raises `Unauthenticated` (`TOKEN_MALFORMED`, `TOKEN_INVALID`, `TOKEN_EXPIRED`), as `UnknownKey` for an unknown
        key id; `PermissionDenied` (`TENANT_MISSING`) for a valid token without a single tenant; `Unavailable`
        (`KEYS_UNAVAILABLE`) while there are no keys.
        """
        keys = self._source.current()
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._recall(digest, keys)
        if known is None:
            known = self._verify_fresh(token, keys)
            self._remember(digest, known, keys)
        if known.expires + self._rules.leeway <= self._clock():
            raise Unauthenticated(Reason.TOKEN_EXPIRED, "token: expired; get a new one")
        return known

    def fetch_unknown(self) -> bool:
        """Refetch the keys after an `UnknownKey`. Blocking. Returns whether to verify the token again."""
        return self._source.fetch_unknown()

    def _verify_fresh(self, token: str, keys: Mapping[str, VerificationKey]) -> VerifiedToken:
        key = _select_key(_read_header(token), keys)
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                options={"verify_signature": True, "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                         "verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False},
            )  # fmt: skip
        except jwt.InvalidSignatureError:
            raise _invalid("signature does not verify") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _malformed() from None
        principal, expires = read_claims(claims, self._rules, self._clock())
        return VerifiedToken(principal, float(claims["iat"]), expires, session_of(token))

    def _recall(self, digest: bytes, keys: Mapping[str, VerificationKey]) -> VerifiedToken | None:
        with self._lock:
            if keys is not self._known_by:
                self._known_by = keys
                self._cache.clear()
            return self._cache.get(digest)

    def _remember(self, digest: bytes, known: VerifiedToken, keys: Mapping[str, VerificationKey]) -> None:
        with self._lock:
            if keys is not self._known_by:
                return  # the keys were replaced meanwhile, perhaps without the one that signed this token
            self._cache[digest] = known
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.popitem(last=False)


def _select_key(header: Mapping[str, object], keys: Mapping[str, VerificationKey]) -> VerificationKey:
    key_id = header.get("kid")
    key = keys.get(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise UnknownKey(Reason.TOKEN_INVALID, "token: signed with an unknown key")
    if header.get("alg") != key.algorithm:
        raise _invalid("algorithm is not the one of its key")
    return key


def read_claims(claims: Mapping[str, object], rules: TokenRules, now: float) -> tuple[Principal, float]:
    """Check the claims of a token with a valid signature; returns the caller and the time of expiry."""
    expires, issued = _numeric_date(claims, "exp"), _numeric_date(claims, "iat")
    if expires + rules.leeway <= now:
        raise Unauthenticated(Reason.TOKEN_EXPIRED, "token: expired; get a new one")
    if issued > now + rules.leeway:
        raise _invalid("iat lies in the future")
    if "nbf" in claims and _numeric_date(claims, "nbf") > now + rules.leeway:
        raise _invalid("not valid yet (nbf)")
    if expires <= issued:
        raise _invalid("exp must be later than iat")
    if expires - issued > rules.max_lifetime:
        raise _invalid(f"lifetime must be at most {rules.max_lifetime} seconds")
    if claims.get("iss") != rules.issuer:
        raise _invalid("wrong issuer (iss)")
    if not _names_audience(claims.get("aud"), rules.audience):
        message = "token: not meant for this service (aud); get one for the audience in RAG_JWT_AUDIENCE"
        raise Unauthenticated(Reason.TOKEN_AUDIENCE, message)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _PRINTABLE.fullmatch(subject):
        raise _invalid("sub must be a string of 1 to 256 characters")
    groups, scopes = _groups(claims.get("groups", [])), _scopes(claims.get("scope", ""))
    granted = {scope for group, scope in rules.platform_groups if group in groups}
    return Principal(subject, _tenant(claims.get("tenant")), groups, scopes | granted), expires


def _read_header(token: str) -> Mapping[str, object]:
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or token.count(".") != 2:
        raise _malformed()
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed() from None
    if _FORBIDDEN_HEADERS & header.keys():
        raise _invalid("has a header that is not allowed")
    token_type = header.get("typ", "JWT")
    if not isinstance(token_type, str) or token_type.lower() not in _TOKEN_TYPES:
        raise _invalid("is not an access token (typ)")
    return header


def _numeric_date(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # bool is an int in Python; NaN and infinities fail the range check.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_TIME:
        raise _invalid(f"{name} must be a number of seconds")
    return float(value)


def _names_audience(claim: object, audience: str) -> bool:
    if isinstance(claim, list):
        return all(isinstance(item, str) for item in claim) and audience in claim
    return isinstance(claim, str) and claim == audience


def _tenant(claim: object) -> str:
    if not isinstance(claim, str) or not _TENANT.fullmatch(claim):
        raise PermissionDenied(Reason.TENANT_MISSING, "token: must name exactly one tenant")
    return claim


def _groups(claim: object) -> tuple[str, ...]:
    if not isinstance(claim, list) or len(claim) > MAX_GROUPS:
        raise _invalid(f"groups must be a list of at most {MAX_GROUPS} strings")
    for group in claim:
        if not isinstance(group, str) or not _PRINTABLE.fullmatch(group):
            raise _invalid("groups must be non-empty strings")
    return tuple(claim)


def _scopes(claim: object) -> frozenset[str]:
    if not isinstance(claim, str) or not _SCOPES.fullmatch(claim):
        raise _invalid("scope must be a string of at most 4096 ASCII characters")
    return frozenset(claim.split())


def require_identity_names(tenant: str, **others: Iterable[str]) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) for a tenant, or `others` by field, that a token cannot contain."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidInput(Reason.FIELD_INVALID, "tenant: 1 to 64 letters, digits and _.-")
    for field, values in others.items():
        if not all(map(_PRINTABLE.fullmatch, values)):
            raise InvalidInput(Reason.FIELD_INVALID, f"{field}: 1 to 256 characters without line breaks")


def _invalid(why: str) -> Unauthenticated:
    return Unauthenticated(Reason.TOKEN_INVALID, f"token: {why}")


def _malformed() -> Unauthenticated:
    return Unauthenticated(Reason.TOKEN_MALFORMED, "token: not a signed JWT")
