"""Envoy configuration from settings: data structures in, one YAML file out. No templates.

options.py    what the gateway needs to know, taken from the settings
clusters.py   where requests go: the query server (gRPC) and its HTTP probes
routes.py     which requests go there, for how long, with which retries
filters.py    the HTTP filter chain, in order
listener.py   the port, the connection limits, the access log
bootstrap.py  all of it as one file, and its validation by Envoy itself
"""

from ragctl.gateway.bootstrap import render, validate, write
from ragctl.gateway.options import GatewayOptions

__all__ = ["GatewayOptions", "render", "validate", "write"]
