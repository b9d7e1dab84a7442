"""Calls of sources and models to hosts outside: checked addresses, bounded answers, no surprises by redirects.

addresses.py  which addresses may be connected to
policy.py     which URLs may be asked for, and the limits of an answer
resolve.py    names to checked addresses
network.py    connections to the checked address only, each wait within the deadline of its request
bodies.py     reading and inflating a body within limits
client.py     httpx clients over such connections, for a configured endpoint
fetcher.py    GET and POST with redirects, for sources
pacing.py     rate limits and retries
"""

from rag_core.fetch.addresses import AddressRules
from rag_core.fetch.client import endpoint_client
from rag_core.fetch.fetcher import Fetched, Fetcher
from rag_core.fetch.pacing import Pacing, retry_after
from rag_core.fetch.policy import FetchLimits, FetchPolicy, Origin, origin_of

__all__ = [
    "AddressRules",
    "FetchLimits",
    "FetchPolicy",
    "Fetched",
    "Fetcher",
    "Origin",
    "Pacing",
    "endpoint_client",
    "origin_of",
    "retry_after",
]
