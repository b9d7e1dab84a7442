"""HTTP requests to external hosts: checked addresses, bounded responses, rate limits, retries, safe redirects."""

from rag_core.http_client.addresses import Address, AddressRules, carried
from rag_core.http_client.egress import (
    EXTENSION,
    OWN_TEXT,
    UNRESTRICTED,
    EgressPolicy,
    Provenance,
    Use,
    covered,
    forbidden,
    provenance,
    sending,
)
from rag_core.http_client.fetcher import Fetched, Fetcher
from rag_core.http_client.network import endpoint_client, system_resolver
from rag_core.http_client.pacing import RETRIED_STATES, Again, Pacing, check_state, retry_after
from rag_core.http_client.policy import FetchLimits, FetchPolicy, origin_of
