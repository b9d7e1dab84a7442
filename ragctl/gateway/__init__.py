"""Envoy configuration from settings: data structures in, YAML files out. No templates.

options.py    options of the gateway, taken from the settings
api.py        the methods and REST paths, read from the descriptors and the policy table
files.py      one file for everything, or a bootstrap with files that are replaced while Envoy runs
clusters.py   where requests go: two colours of query servers (gRPC), their HTTP probes, the issuer's keys
routes.py     which requests go there, with which weights, for how long, with which retries
access.py     tokens and scopes
limits.py     calls per client and per address
requests.py   checks of a request that needs no token: it is complete, and its API key is not guessed
replies.py    the errors that Envoy answers itself
listener.py   the port, TLS, the connection limits, the HTTP filters in order, header hygiene, the access log
admin.py      the pages of the admin interface that probes, Prometheus and the local stack may ask for
bootstrap.py  the whole configuration, and its validation by Envoy itself
"""
