"""Rate limits of clients and addresses: token buckets, one filter per window, each with its own Retry-After.

A client is the tenant and subject of its verified token, or its API key. An address is limited before anything is
verified, so that guessing costs the guesser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from query_server.rate_limits import UNLIMITED, Override
from query_server.rate_limits.rules import DOMAIN, HOUR, MINUTE
from ragctl.gateway.interfaces import public_pattern
from ragctl.gateway.options import Config, GatewayOptions, Limits, SharedCounters, extension, seconds

RATE_LIMITS = "rate-limits"
"""The name of the service's cluster."""


@dataclass(frozen=True, slots=True)
class _Window:
    """A rate: `calls` in `seconds`, of which `burst` may come at once."""

    name: str
    calls: int
    seconds: int
    burst: int

    def bucket(self) -> Config:
        return _bucket(self.burst, self.calls, self.seconds)

    @property
    def retry_after(self) -> int:
        """Seconds until the next call is allowed, rounded up."""
        return max(1, math.ceil(self.seconds / self.calls))


def address_limit(options: GatewayOptions) -> list[Config]:
    """The filter before verification; none when the limit is off."""
    limits = options.limits
    if not limits.ip_per_minute:
        return []
    window = _Window("address", limits.ip_per_minute, MINUTE, limits.ip_burst)
    free = [_descriptor(_free(), remote_address=item) for item in limits.free_addresses]
    descriptors = [*free, _descriptor(window.bucket(), remote_address=None)]
    return [_filter(window, limits, descriptors, [[{"remote_address": {}}]])]


def page_limit(options: GatewayOptions) -> list[Config]:
    """The filter for pages that anybody may read, by address; none where there are none, or when the limit is off."""
    limits = options.limits
    if not limits.pages_per_minute or not options.interfaces.query:
        return []
    window = _Window("pages", limits.pages_per_minute, MINUTE, limits.pages_per_minute)
    is_page = {"name": ":path", "string_match": {"safe_regex": {"regex": public_pattern()}}}
    page: Config = {"header_value_match": {"descriptor_key": "page", "descriptor_value": "yes", "headers": [is_page]}}
    free = [_descriptor(_free(), page="yes", remote_address=item) for item in limits.free_addresses]
    descriptors = [*free, _descriptor(window.bucket(), page="yes", remote_address=None)]
    return [_filter(window, limits, descriptors, [[page, {"remote_address": {}}]])]


def client_limits(options: GatewayOptions) -> list[Config]:
    """The filters after verification, a minute's and an hour's; those that are off are left out."""
    limits = options.limits
    windows = (
        _Window("minute", limits.per_minute, MINUTE, limits.burst),
        _Window("hour", limits.per_hour, HOUR, limits.per_hour),
    )
    return [
        _filter(window, limits, _client_descriptors(window, limits), _client_actions(limits))
        for window in windows
        if window.calls
    ]


def shared_limits(options: GatewayOptions) -> list[Config]:
    """The filter that asks the rate-limit service about clients; none where each gateway counts for itself.

    It comes after the filters of this gateway: what they refuse, nobody is asked about.
    """
    return [] if options.shared is None else [_shared(options.shared)]


def _shared(shared: SharedCounters) -> Config:
    tenant, subject = _header("x-auth-tenant", "tenant"), _header("x-auth-subject", "subject")
    return extension(
        "rag.limits.shared",
        "extensions.filters.http.ratelimit.v3.RateLimit",
        domain=DOMAIN,
        timeout=seconds(shared.seconds),
        failure_mode_deny=shared.closed,
        status_on_error={"code": "ServiceUnavailable"},
        rate_limited_as_resource_exhausted=True,
        rate_limits=[{"actions": [tenant, subject]}, {"actions": [_header("x-api-key", "key")]}],
        rate_limit_service={
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": RATE_LIMITS}},
        },
    )


# Of several descriptors with wildcards that fit a call, Envoy takes any. So no two may fit: an override has a key of
# its own, and the general one an entry for each override, made only for calls that the override does not mean.


def _client_descriptors(window: _Window, limits: Limits) -> list[Config]:
    spared = {_spared(number): "yes" for number, _ in enumerate(limits.overrides)}
    return [
        *(_override(window, number, item) for number, item in enumerate(limits.overrides)),
        _descriptor(window.bucket(), **spared, tenant=None, subject=None),
        _descriptor(window.bucket(), key=None),
    ]


def _client_actions(limits: Limits) -> list[list[Config]]:
    named = list(enumerate(limits.overrides))
    tenant, subject = _header("x-auth-tenant", "tenant"), _header("x-auth-subject", "subject")
    meant = [[_meant(_chosen(number), item, expected=True), tenant] for number, item in named]
    others = [_meant(_spared(number), item, expected=False) for number, item in named]
    return [*meant, [*others, tenant, subject], [_header("x-api-key", "key")]]


def _override(window: _Window, number: int, item: Override) -> Config:
    calls = max(1, item.per_minute if window.seconds == MINUTE else item.per_hour)
    entries: dict[str, str | None] = {_chosen(number): "yes", "tenant": None}
    return _descriptor(_bucket(calls, calls, window.seconds), **entries)


def _meant(key: str, item: Override, *, expected: bool) -> Config:
    """An entry for the calls that an override means, or for all others."""
    named = {"x-auth-subject": item.subject, **({} if item.tenant == "*" else {"x-auth-tenant": item.tenant})}
    headers = [{"name": name, "string_match": {"exact": value}} for name, value in named.items()]
    return {
        "header_value_match": {
            "descriptor_key": key,
            "descriptor_value": "yes",
            "expect_match": expected,
            "headers": headers,
        }
    }


def _chosen(number: int) -> str:
    return f"override_{number}"


def _spared(number: int) -> str:
    return f"not_override_{number}"


def _descriptor(bucket: Config, **entries: str | None) -> Config:
    """A descriptor; an entry without a value stands for each value it meets, with a bucket of its own."""
    listed = [{"key": key} if value is None else {"key": key, "value": value} for key, value in entries.items()]
    return {"entries": listed, "token_bucket": bucket}


def _header(name: str, key: str) -> Config:
    return {"request_headers": {"header_name": name, "descriptor_key": key}}


def _filter(window: _Window, limits: Limits, descriptors: list[Config], actions: list[list[Config]]) -> Config:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    header = {"key": "retry-after", "value": str(window.retry_after)}
    return extension(
        f"rag.limits.{window.name}",
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix=f"limit_{window.name}",
        # Required; never consulted for a call that has a descriptor, and a call without one is not a client's.
        token_bucket=_free(),
        always_consume_default_token_bucket=False,
        filter_enabled={**always, "runtime_key": f"limits.{window.name}.enabled"},
        filter_enforced={**always, "runtime_key": f"limits.{window.name}.enforced"},
        rate_limits=[{"actions": action} for action in actions],
        descriptors=descriptors,
        max_dynamic_descriptors=limits.clients,
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=[{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    )


def _free() -> Config:
    return _bucket(UNLIMITED, UNLIMITED, 1)


def _bucket(size: int, refill: int, seconds: int) -> Config:
    return {"max_tokens": size, "tokens_per_fill": refill, "fill_interval": f"{seconds}s"}
