"""The rate-limit service: answers Envoy's rate limit protocol from counters that all gateways share.

rules.py     which limits a client has, from the settings; the gateway's own filters are made of the same rules
counting.py  the counters, in Redis or Valkey, by the `limits` library
service.py   Envoy's protocol
"""

from query_server.rate_limits.rules import UNLIMITED, Override, overrides_of
