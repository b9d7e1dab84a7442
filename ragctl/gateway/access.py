"""Access at the gateway: verification of tokens, and the scope each method needs.

The gateway checks to shed what cannot succeed; the server checks again, so that a direct connection is no hole. API
keys pass to the server unchecked: their hashes, scopes and revocations are rows in PostgreSQL, of which a copy here
(Envoy's own key filter wants the keys in clear text in a file) would be both a secret and out of date.
"""

from __future__ import annotations

from query_server.auth.policies import granting
from ragctl.gateway.api import Method, api_methods, public_services
from ragctl.gateway.clusters import KEYS
from ragctl.gateway.files import JWT_FILTER
from ragctl.gateway.interfaces import CALLER
from ragctl.gateway.interfaces import open_paths as interface_paths
from ragctl.gateway.options import Config, GatewayOptions, Jwt, any_of, extension
from ragctl.gateway.routes import HAS_KEY, HAS_NO_TOKEN, PROBE_PATHS

_PROVIDER = "tokens"
_PAYLOAD = "token"
FAILURE = "failure"
"""Metadata key under which the token filter leaves why a token failed, for the error that callers see."""
_SCHEMES = ("Bearer", "bearer", "BEARER")
"""The scheme has no case; the filter compares with it. Spellings beyond these are refused as malformed."""
_CACHED_TOKENS = 10_000
_MAX_CACHED_TOKEN_BYTES = 8192
_KEYS_KEPT = "30s"
"""Envoy does not look again when it meets a key that it does not know, and Keycloak signs with a new key at once: its
tokens are refused for so long."""


def jwt_filter(options: GatewayOptions, jwt: Jwt) -> Config:
    """The configuration of the token filter. What no rule names needs a token."""
    provider = {
        "issuer": jwt.issuer,
        "audiences": [jwt.audience],
        "require_expiration": True,
        "clock_skew_seconds": jwt.leeway,
        "forward": True,
        "from_headers": [{"name": "authorization", "value_prefix": f"{scheme} "} for scheme in _SCHEMES],
        "failed_status_in_metadata": FAILURE,
        "claim_to_headers": [
            {"header_name": "x-auth-tenant", "claim_name": "tenant"},
            {"header_name": "x-auth-subject", "claim_name": "sub"},
            *([{"header_name": CALLER, "claim_name": "sub"}] if options.interfaces.query else []),
        ],
        "payload_in_metadata": _PAYLOAD,
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
        "jwt_cache_config": {"jwt_cache_size": _CACHED_TOKENS, "jwt_max_token_size": _MAX_CACHED_TOKEN_BYTES},
        **_keys(options, jwt),
    }
    open_paths: list[Config] = [{"path": path} for path in PROBE_PATHS]
    open_paths += [{"prefix": f"/{service}/"} for service in public_services()]
    open_paths += interface_paths(options)
    rules = [
        *({"match": match} for match in open_paths),
        {"match": {"prefix": "/", "headers": [HAS_KEY, HAS_NO_TOKEN]}},
        {"match": {"prefix": "/"}, "requires": {"provider_name": _PROVIDER}},
    ]
    return any_of(
        "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={_PROVIDER: provider},
        rules=rules,
    )


def _keys(options: GatewayOptions, jwt: Jwt) -> Config:
    if not jwt.jwks_url:
        return {"local_jwks": {"inline_string": jwt.jwks}}
    remote = {
        "http_uri": {"uri": jwt.jwks_url, "cluster": KEYS, "timeout": "3s"},
        "cache_duration": _KEYS_KEPT,
        "async_fetch": {"fast_listener": True, "failed_refetch_duration": "5s"},
        "retry_policy": {"num_retries": 2},
    }
    return {"remote_jwks": remote}


def scope_filter(options: GatewayOptions) -> Config:
    """Refuses a verified token without the scope of the method. Paths that are no method pass on to their 404."""
    by_scope: dict[str, list[Method]] = {}
    methods = api_methods(options.descriptors, admin=options.expose_admin)
    for method in methods:
        by_scope.setdefault(method.scope, []).append(method)
    policies: Config = {
        f"scope {scope}": {"permissions": [_calls(named)], "principals": [*_admitted(scope, options.jwt), _sends_key()]}
        for scope, named in sorted(by_scope.items())
    }
    policies["no method of the API"] = {
        "permissions": [{"not_rule": _calls(list(methods))}],
        "principals": [{"any": True}],
    }
    return extension(
        "envoy.filters.http.rbac",
        "extensions.filters.http.rbac.v3.RBAC",
        rules={"action": "ALLOW", "policies": policies},
    )


def _calls(methods: list[Method]) -> Config:
    rules: list[Config] = []
    for method in methods:
        rules.append({"url_path": {"path": {"exact": method.path}}})
        for binding in method.rest:
            path = {"exact": binding.path} if binding.pattern is None else {"safe_regex": {"regex": binding.pattern}}
            verb = {"header": {"name": ":method", "string_match": {"exact": binding.verb}}}
            rules.append({"and_rules": {"rules": [{"url_path": {"path": path}}, verb]}})
    return {"or_rules": {"rules": rules}}


def _admitted(scope: str, jwt: Jwt | None) -> list[Config]:
    """Tokens with the scope or a wider one, by their own claim or by a group that is given it."""
    scopes = granting(scope)
    groups = [group for group, given in jwt.platform_groups if given in scopes] if jwt else []
    return [*(_lists("scope", name) for name in scopes), *(_lists("groups", name) for name in groups)]


def _lists(claim: str, item: str) -> Config:
    path = [{"key": _PAYLOAD}, {"key": claim}]
    value = {"list_match": {"one_of": {"string_match": {"exact": item}}}}
    return {"metadata": {"filter": JWT_FILTER, "path": path, "value": value}}


def _sends_key() -> Config:
    return {"and_ids": {"ids": [{"header": HAS_KEY}, {"header": HAS_NO_TOKEN}]}}
