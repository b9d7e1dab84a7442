"""HTTP requests to external hosts: checked addresses, bounded responses, rate limits, retries, safe redirects."""

from rag_core.http_client.addresses import Address, AddressRules, carried
from rag_core.http_client.fetcher import Fetched, Fetcher
from rag_core.http_client.network import endpoint_client, system_resolver
from rag_core.http_client.pacing import RETRIED_STATES, Again, Pacing, check_state, retry_after
from rag_core.http_client.policy import FetchLimits, FetchPolicy, origin_of

__all__ = [
    "RETRIED_STATES",
    "Address",
    "AddressRules",
    "Again",
    "FetchLimits",
    "FetchPolicy",
    "Fetched",
    "Fetcher",
    "Pacing",
    "carried",
    "check_state",
    "endpoint_client",
    "origin_of",
    "retry_after",
    "system_resolver",
]
