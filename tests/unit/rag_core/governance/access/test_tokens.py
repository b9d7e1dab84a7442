"""Tokens: what is accepted, and every way of being refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_core.errors import ConfigError, PermissionDenied, RagError, Reason, Unauthenticated
from rag_core.governance.access import TokenRules, TokenVerifier, generate_key, key_source, mint
from rag_core.governance.access import tokens as identity
from rag_core.governance.access.keys import load_jwks
from rag_core.governance.access.signing import public_jwk

RULES = TokenRules(issuer="issuer", audience="query", max_lifetime=86_400, leeway=60)
NOW = 1_800_000_000
PRIVATE, JWKS = generate_key()
KID = JWKS["keys"][0]["kid"]
GOOD: dict[str, Any] = {
    "iss": "issuer",
    "aud": "query",
    "sub": "ann",
    "tenant": "acme",
    "groups": ["hr"],
    "scope": "query.read admin",
    "iat": NOW,
    "exp": NOW + 600,
}


def sign(claims: dict[str, Any], key: str = PRIVATE, **headers: Any) -> str:
    # Below PyJWT's own checks of claims, so that nonsense can be signed.
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm="ES256", headers={"kid": KID, **headers})


def encoded(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: dict[str, Any], signature: Callable[[bytes], bytes] = lambda _: b"") -> str:
    signed = f"{encoded(header)}.{encoded(GOOD)}"
    return f"{signed}.{encoded(signature(signed.encode()))}"


@pytest.fixture
def verifier(tmp_path: Path) -> TokenVerifier:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    return TokenVerifier(path, RULES, clock=lambda: NOW)


def test_a_good_token_becomes_a_principal(verifier: TokenVerifier) -> None:
    principal = verifier.verify(sign(GOOD))
    assert (principal.subject, principal.tenant, principal.groups) == ("ann", "acme", ("hr",))
    assert principal.scopes == {"query.read", "admin"}
    assert principal.acl_entries == ("everyone", "user:ann", "group:hr")


def test_minted_tokens_verify(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    token = mint(PRIVATE, subject="ann", tenant="acme", issuer="issuer", audience="query", scopes=["query.read"])
    assert TokenVerifier(path, RULES).verify(token).scopes == {"query.read"}


PUBLIC_PEM = (
    serialization.load_pem_private_key(PRIVATE.encode(), None)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


FORGERIES = {
    "none": forged({"alg": "none", "kid": KID}),
    "None": forged({"alg": "None", "kid": KID}),
    "nOnE": forged({"alg": "nOnE", "kid": KID}),
    "hs256 with the public pem": forged({"alg": "HS256", "kid": KID}, hs256(PUBLIC_PEM)),
    "hs256 with the jwk": forged({"alg": "HS256", "kid": KID}, hs256(json.dumps(JWKS["keys"][0]).encode())),
    "hs256 without kid": forged({"alg": "HS256"}, hs256(PUBLIC_PEM)),
    "kid with a path": sign(GOOD, kid="../../../dev/null"),
    "kid with sql": sign(GOOD, kid="' OR 1=1 --"),
    "kid as a list": forged({"alg": "ES256", "kid": [KID]}),
    "no kid": jwt.encode(GOOD, PRIVATE, algorithm="ES256"),
    "jku": sign(GOOD, jku="https://evil.example/jwks"),
    "x5u": sign(GOOD, x5u="https://evil.example/cert"),
    "x5c": sign(GOOD, x5c=["MIIB"]),
    "jwk": sign(GOOD, jwk=JWKS["keys"][0]),
    "crit": sign(GOOD, crit=["exp"]),
    "empty signature": sign(GOOD).rpartition(".")[0] + ".",
    "stripped signature": sign(GOOD).rpartition(".")[0],
    "wrong key, same kid": sign(GOOD, generate_key()[0]),
    "changed payload": ".".join([sign(GOOD).split(".")[0], encoded(GOOD | {"tenant": "b"}), sign(GOOD).split(".")[2]]),
    "another algorithm of the family": forged({"alg": "ES384", "kid": KID}),
    "refresh token": sign(GOOD, typ="refresh+jwt"),
    "typ as a number": sign(GOOD | {}, typ="7"),
    "not a token": "hello",
    "empty": "",
    "too long": sign(GOOD | {"pad": "x" * 9000}),
    "not ascii": sign(GOOD) + "é",
    "header is a list": f"{encoded([1])}.{encoded(GOOD)}.{encoded(b'x')}",
    "nested json": f"{encoded(b'[' * 5000)}.{encoded(GOOD)}.x",
}


@pytest.mark.catalogue("S09")
@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_tokens_are_refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(token)
    assert caught.value.reason in {Reason.TOKEN_INVALID, Reason.TOKEN_MALFORMED}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


BAD_CLAIMS = {
    "no exp": without("exp"),
    "string exp": GOOD | {"exp": str(NOW + 600)},
    "huge exp": GOOD | {"exp": 10**400},
    "true exp": GOOD | {"exp": True},
    "negative exp": GOOD | {"exp": -1},
    "expired": GOOD | {"iat": NOW - 700, "exp": NOW - 61},
    "no iat": without("iat"),
    "iat in the future": GOOD | {"iat": NOW + 61},
    "string iat": GOOD | {"iat": "now"},
    "nbf in the future": GOOD | {"nbf": NOW + 61},
    "nbf null": GOOD | {"nbf": None},
    "wrong aud": GOOD | {"aud": "other"},
    "no aud": without("aud"),
    "aud list without us": GOOD | {"aud": ["a", "b"]},
    "aud list with a number": GOOD | {"aud": ["query", 7]},
    "aud object": GOOD | {"aud": {"query": True}},
    "aud prefix": GOOD | {"aud": "query2"},
    "wrong iss": GOOD | {"iss": "evil"},
    "no iss": without("iss"),
    "iss list": GOOD | {"iss": ["issuer"]},
    "no sub": without("sub"),
    "empty sub": GOOD | {"sub": ""},
    "sub number": GOOD | {"sub": 7},
    "sub with a line break": GOOD | {"sub": "ann\nroot"},
    "sub with a lone surrogate": GOOD | {"sub": "ann\ud800"},
    "groups with a lone surrogate": GOOD | {"groups": ["hr\udfff"]},
    "scope with a lone surrogate": GOOD | {"scope": "admin \ud800"},
    "lifetime over the cap": GOOD | {"exp": NOW + 86_401},
    "exp before iat": GOOD | {"iat": NOW + 30, "exp": NOW + 20},
    "groups string": GOOD | {"groups": "hr"},
    "groups with a number": GOOD | {"groups": [1]},
    "groups with an empty name": GOOD | {"groups": [""]},
    "too many groups": GOOD | {"groups": [f"g{n}" for n in range(300)]},
    "scope list": GOOD | {"scope": ["admin"]},
}


@pytest.mark.catalogue("S10")
@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
def test_bad_claims_are_refused(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(sign(claims))


def test_expired_and_issued_for_another_service_have_reasons_of_their_own(verifier: TokenVerifier) -> None:
    for claims, reason in ((BAD_CLAIMS["expired"], "TOKEN_EXPIRED"), (BAD_CLAIMS["wrong aud"], "TOKEN_AUDIENCE")):
        with pytest.raises(Unauthenticated) as caught:
            verifier.verify(sign(claims))
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("lifetime", "said"),
    [(0, "exp must be later than iat"), (-10, "exp must be later than iat"), (86_401, "at most 86400 seconds")],
)
def test_a_lifetime_is_refused_for_what_is_wrong_with_it(verifier: TokenVerifier, lifetime: int, said: str) -> None:
    issued = NOW + 30
    with pytest.raises(Unauthenticated, match=said):
        verifier.verify(sign(GOOD | {"iat": issued, "exp": issued + lifetime}))


@pytest.mark.catalogue("S10")
@pytest.mark.parametrize(
    ("claims", "header"),
    [
        (GOOD | {"aud": ["other", "query"]}, {}),
        (GOOD | {"nbf": NOW}, {}),
        (GOOD | {"iat": NOW + 59}, {}),
        (without("groups"), {}),
        (GOOD | {"exp": NOW + 600.5}, {}),
        *((GOOD, {"typ": typ}) for typ in ("JWT", "jwt", "at+jwt")),
    ],
    ids=["aud list that contains us", "nbf now", "iat within leeway", "no groups", "fractional exp", "JWT", "jwt",
         "at+jwt"],
)  # fmt: skip
def test_good_variants_are_accepted(verifier: TokenVerifier, claims: dict[str, Any], header: dict[str, str]) -> None:
    assert verifier.verify(sign(claims, **header)).tenant == "acme"


@pytest.mark.catalogue("S04")
@pytest.mark.parametrize(
    "claims",
    [
        without("tenant"),
        *(
            GOOD | {"tenant": tenant}
            for tenant in (None, "", "*", ["acme"], ["acme", "b"], {"a": 1}, 7, True, "a b", "../x", "a" * 65, "a\x00")
        ),
    ],
    ids=lambda claims: repr(claims.get("tenant", "none at all"))[:12],
)
def test_a_token_that_names_no_single_tenant_gets_no_access(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    with pytest.raises(PermissionDenied) as caught:
        verifier.verify(sign(claims))
    assert caught.value.reason is Reason.TENANT_MISSING


def test_a_cached_token_still_expires(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    now = [float(NOW)]
    verifier = TokenVerifier(path, RULES, clock=lambda: now[0])
    token = sign(GOOD)
    assert verifier.verify(token) is verifier.verify(token)
    now[0] = NOW + 660
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(token)
    assert caught.value.reason is Reason.TOKEN_EXPIRED


def replaced(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


@pytest.mark.catalogue("S11")
def test_a_removed_key_is_refused_although_its_token_was_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_source, "RELOAD_SECONDS", 0.0)
    path = tmp_path / "jwks.json"
    second_private, second = generate_key()
    path.write_text(json.dumps({"keys": [*JWKS["keys"], *second["keys"]]}))
    verifier = TokenVerifier(path, RULES, clock=lambda: NOW)
    new_token = jwt.encode(GOOD, second_private, algorithm="ES256", headers={"kid": second["keys"][0]["kid"]})
    old_token = sign(GOOD)  # once: each signature is another token
    verifier.verify(old_token)
    verifier.verify(new_token)
    replaced(path, json.dumps(second))
    verifier.verify(new_token)
    with pytest.raises(Unauthenticated):
        verifier.verify(old_token)


@pytest.mark.catalogue("F54")
@pytest.mark.parametrize("broken", ["{", '{"keys": []}'], ids=["half written", "empty"])
def test_a_key_file_that_turns_bad_keeps_the_last_good_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setattr(key_source, "RELOAD_SECONDS", 0.0)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(JWKS))
    verifier = TokenVerifier(path, RULES, clock=lambda: NOW)
    replaced(path, broken)
    assert verifier.verify(sign(GOOD)).tenant == "acme"
    path.unlink()
    assert verifier.verify(sign(GOOD | {"sub": "bob"})).subject == "bob"


def test_rs256_keys_are_pinned_to_rs256(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": "r1"}
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk]}))
    verifier = TokenVerifier(path, RULES, clock=lambda: NOW)
    assert verifier.verify(jwt.encode(GOOD, key, algorithm="RS256", headers={"kid": "r1"})).tenant == "acme"
    for algorithm in ("PS256", "RS512"):
        with pytest.raises(Unauthenticated):
            verifier.verify(jwt.encode(GOOD, key, algorithm=algorithm, headers={"kid": "r1"}))


def test_a_providers_keys_for_other_purposes_do_not_take_away_those_that_verify(tmp_path: Path) -> None:
    """Keycloak's set has a key for encryption, and keys of Cognito have padding in their ids."""
    good = JWKS["keys"][0]
    rsa_key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    p384 = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    path = tmp_path / "jwks.json"
    others = [
        rsa_key | {"kid": "e1", "use": "enc", "alg": "RSA-OAEP"},
        rsa_key | {"kid": "r512", "use": "sig", "alg": "RS512"},
        p384 | {"kid": "p384"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "ed"},
        rsa_key | {"kid": "kT+c/uA5Jr8=", "use": "sig", "alg": "RS256"},
    ]
    path.write_text(json.dumps({"keys": [*others, good]}))
    assert load_jwks(path).keys() == {"kT+c/uA5Jr8=", good["kid"]}
    assert TokenVerifier(path, RULES, clock=lambda: NOW).verify(sign(GOOD)).tenant == "acme"


def bad_key_sets() -> dict[str, object]:
    good = JWKS["keys"][0]
    weak = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))  # noqa: S505
    other_curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    return {
        "empty": {"keys": []},
        "no keys": {},
        "a list": [],
        "no kid": {"keys": [{name: value for name, value in good.items() if name != "kid"}]},
        "private half": {"keys": [good | {"d": "AAAA"}]},
        "symmetric": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
        "encryption key": {"keys": [good | {"use": "enc"}]},
        "twice the kid": {"keys": [good, good]},
        "weak rsa": {"keys": [weak | {"kid": "weak"}]},
        "another curve": {"keys": [other_curve | {"kid": "p384"}]},
        "alg that does not fit": {"keys": [good | {"alg": "RS256"}]},
        "not a point": {"keys": [good | {"x": "AAAA"}]},
        "a number": {"keys": [7]},
    }


@pytest.mark.catalogue("S08")
@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in bad_key_sets().items()])
def test_a_weak_or_empty_key_set_is_refused_at_start(tmp_path: Path, document: object) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError) as caught:
        load_jwks(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.catalogue("S08")
def test_a_missing_key_file_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        TokenVerifier(tmp_path / "none.json", RULES)
    assert caught.value.reason is Reason.SECRET_MISSING


@pytest.mark.parametrize("pem", ["", "nonsense", PUBLIC_PEM.decode()])
def test_minting_refuses_what_is_no_private_key(pem: str) -> None:
    with pytest.raises(ConfigError):
        mint(pem, subject="a", tenant="b", issuer="i", audience="a")


def test_equal_keys_have_equal_ids() -> None:
    private = serialization.load_pem_private_key(PRIVATE.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert public_jwk(private.public_key())["kid"] == KID


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.hex()))
def test_any_text_is_refused_with_a_typed_error(text: str) -> None:
    with pytest.raises(RagError):
        identity._select_key(identity._read_header(text), {})


@settings(deadline=None)  # a busy machine is not a failure
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "nbf", "jti"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_any_claims_give_a_principal_or_a_typed_error(changed: dict[str, Any]) -> None:
    try:
        principal, expires = identity.read_claims(GOOD | changed, RULES, NOW)
    except RagError:
        return
    assert isinstance(principal.tenant, str)
    assert principal.tenant not in {"", "*"}
    assert expires + RULES.leeway > NOW


def test_verification_of_a_known_token_costs_no_signature_check(
    verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign(GOOD)
    verifier.verify(token)
    monkeypatch.setattr(jwt, "decode", lambda *_args, **_kwargs: pytest.fail("checked again"))
    assert verifier.verify(token).subject == "ann"
