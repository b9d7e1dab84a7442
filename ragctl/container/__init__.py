"""`python -m ragctl.container ROLE`: the one entry point of every image, a role by its name.

roles.py     the processes: what each becomes, and what it must find
health.py    how each is asked whether it works, with nothing but what the image holds
tasks.py     work that ends: migration and bootstrap
gateway.py   Envoy's files for two sets of query servers on one network
identity.py  keys and tokens for an installation without an identity provider
"""
