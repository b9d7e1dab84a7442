"""A small OpenID Connect provider on loopback: authorization code flow with PKCE, one user, ES256 and RS256 keys."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

CLIENT, SECRET = "console", "a client secret of some length"


@dataclass
class Provider:
    """`access_token` makes what the console gets for the platform; `algorithm` signs the identity; `forged` spoils it.

    `exchanged` counts the codes that were changed into tokens.
    """

    http: HTTPServer
    access_token: Callable[[], str]
    algorithm: str = "ES256"
    forged: bool = False
    exchanged: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keys = _keys()
        self._strangers = _keys()
        self.issuer = self.http.url_for("").rstrip("/")
        serve = self.http.expect_request
        serve("/.well-known/openid-configuration").respond_with_json(self._metadata())
        serve("/jwks").respond_with_json({"keys": [_public(name, key) for name, key in self._keys.items()]})
        serve("/authorize").respond_with_handler(self._authorize)
        serve("/token", method="POST").respond_with_handler(self._token)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def _authorize(self, request: Request) -> Response:
        """The user is signed in already and agrees at once."""
        asked = request.args
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = {name: asked.get(name, "") for name in ("nonce", "code_challenge", "redirect_uri")}
        return Response(
            status=302,
            headers={"location": f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"},
        )

    def _token(self, request: Request) -> Response:
        form = request.form
        granted = self.codes.pop(form.get("code", ""), None)  # once only
        basic = request.authorization
        client = (basic.username, basic.password) if basic else (form.get("client_id"), form.get("client_secret"))
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if granted is None or client != (CLIENT, SECRET) or proof.decode() != granted["code_challenge"]:
            return Response(json.dumps({"error": "invalid_grant"}), 400, content_type="application/json")
        self.exchanged += 1
        answer = {
            "access_token": self.access_token(), "token_type": "Bearer", "expires_in": 600,
            "id_token": self._identity(granted["nonce"]),
        }  # fmt: skip
        return Response(json.dumps(answer), content_type="application/json")

    def _identity(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "ann", "aud": CLIENT, "iat": now, "exp": now + 600, "nonce": nonce,
                  "email": "ann@example.org", "name": "Ann"}  # fmt: skip
        keys = self._strangers if self.forged else self._keys
        return jwt.encode(claims, keys[self.algorithm], self.algorithm, headers={"kid": self.algorithm})


def _keys() -> dict[str, Any]:
    return {"ES256": ec.generate_private_key(ec.SECP256R1()), "RS256": rsa.generate_private_key(65537, 2048)}


def _public(name: str, key: Any) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.ECAlgorithm if name == "ES256" else jwt.algorithms.RSAAlgorithm
    return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": name, "alg": name, "use": "sig"}
