"""Signing keys of the local stack, and the tokens they sign.

Without PyJWT, which imports all that can verify: half of the processor time of a command that signs one token.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from rag_core.errors import ConfigError, Reason

_BYTES = 32
"""Bytes of a number of P-256."""


def generate_key() -> tuple[str, dict[str, Any]]:
    """Generate a P-256 signing key: the private key as PEM text and the JWKS document with the public key."""
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode("ascii"), {"keys": [public_jwk(private.public_key())]}


def public_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The JWK of a public key. Its `kid` is the RFC 7638 thumbprint, so equal keys have equal ids everywhere."""
    numbers = public.public_numbers()
    members = {"crv": "P-256", "kty": "EC", "x": _number(numbers.x), "y": _number(numbers.y)}
    thumbprint = _base64url(hashlib.sha256(_compact(members).encode()).digest())
    return {**members, "alg": "ES256", "use": "sig", "kid": thumbprint}


def mint(
    private_pem: str,
    *,
    subject: str,
    tenant: str,
    issuer: str,
    audience: str,
    scopes: Iterable[str] = (),
    groups: Iterable[str] = (),
    lifetime: int = 3600,
    now: float | None = None,
) -> str:
    """Sign an access token with an ES256 private key of `generate_key`. `lifetime` is in seconds.

    Raises `ConfigError` (`SECRET_WEAK`) when the key is not a P-256 private key.
    """
    try:
        private = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ConfigError(Reason.SECRET_WEAK, "the signing key is not a private key in PEM form") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise ConfigError(Reason.SECRET_WEAK, "the signing key must be an EC key on P-256")
    issued = int(time.time() if now is None else now)
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "tenant": tenant,
        "groups": list(groups),
        "scope": " ".join(sorted(set(scopes))),
        "iat": issued,
        "exp": issued + lifetime,
    }
    return _signed({"alg": "ES256", "kid": public_jwk(private.public_key())["kid"], "typ": "at+jwt"}, claims, private)


def _signed(headers: Mapping[str, Any], claims: Mapping[str, Any], private: ec.EllipticCurvePrivateKey) -> str:
    """The compact form of RFC 7515; a signature of ES256 is both numbers, one after the other."""
    content = f"{_base64url(_compact(headers).encode())}.{_base64url(_compact(claims).encode())}"
    numbers = decode_dss_signature(private.sign(content.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{content}.{_base64url(b''.join(number.to_bytes(_BYTES, 'big') for number in numbers))}"


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _number(value: int) -> str:
    return _base64url(value.to_bytes(_BYTES, "big"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
