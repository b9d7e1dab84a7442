"""Read verification keys from JWKS documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from rag_core.errors import ConfigError, Reason

MIN_RSA_BITS = 2048
FILE_SETTING = "RAG_JWT_PUBLIC_KEYS"
_KEY_ID = re.compile(r"[A-Za-z0-9_.~+/=-]{1,128}")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the only algorithm it may be used with."""

    key_id: str
    algorithm: str
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def load_jwks(path: Path) -> dict[str, VerificationKey]:
    """Read a JWKS file. Raises `ConfigError` when it is missing, has no key, or has a weak or secret key."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(Reason.SECRET_MISSING, f"{FILE_SETTING}: the file does not exist") from None
    except OSError:
        raise ConfigError(Reason.CONFIG_INVALID, f"{FILE_SETTING}: not a readable JSON file") from None
    return parse_jwks(data, FILE_SETTING)


def parse_jwks(data: bytes, setting: str) -> dict[str, VerificationKey]:
    """The keys of a JWKS document that verify tokens, by key id; errors name `setting`.

    Keys for another use, of another kind or for another algorithm are left out, as RFC 7517 (section 5) advises:
    Keycloak's set has a key for encryption too. Raises `ConfigError` as `load_jwks` does.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ConfigError(Reason.CONFIG_INVALID, f"{setting}: not a readable JSON file") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ConfigError(Reason.SECRET_MISSING, f"{setting}: the key set is empty")
    keys: dict[str, VerificationKey] = {}
    for position, entry in enumerate(entries):
        key = _verification_key(entry, position, setting)
        if key is None:
            continue
        if key.key_id in keys:
            raise ConfigError(Reason.CONFIG_INVALID, f"{setting}: two keys have the kid {key.key_id}")
        keys[key.key_id] = key
    if not keys:
        raise ConfigError(Reason.CONFIG_INVALID, f"{setting}: no key for signatures with ES256 or RS256")
    return keys


def _verification_key(entry: object, position: int, setting: str) -> VerificationKey | None:
    """The key, `None` when it is for something else."""

    def refuse(why: str, reason: Reason = Reason.CONFIG_INVALID) -> ConfigError:
        return ConfigError(reason, f"{setting}: key {position}: {why}")

    if not isinstance(entry, dict):
        raise refuse("not an object")
    if "d" in entry or entry.get("kty") == "oct":
        raise refuse("holds a secret; only public keys belong here", Reason.SECRET_WEAK)
    algorithm = _algorithm_of(entry)
    if algorithm is None or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise refuse("needs a kid of letters, digits and _.~+/=-")
    try:
        key = jwt.PyJWK(entry, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise refuse("is not a valid EC P-256 or RSA public key") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise refuse(f"RSA keys need at least {MIN_RSA_BITS} bits", Reason.SECRET_WEAK)
    return VerificationKey(key_id, algorithm, key)


def _algorithm_of(entry: Mapping[str, object]) -> str | None:
    if entry.get("kty") == "EC":
        return "ES256" if entry.get("crv") == "P-256" else None
    return "RS256" if entry.get("kty") == "RSA" else None
