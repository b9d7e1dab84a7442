"""`python -m ragctl.container ROLE`: the one entry point of every image, a role by its name.

roles.py     the long-running processes: command line and requirements of each
health.py    health checks that need nothing outside of the image
tasks.py     one-time tasks: migration and bootstrap
gateway.py   Envoy's files for two sets of query servers on one network
identity.py  keys and tokens for an installation without an identity provider
"""
