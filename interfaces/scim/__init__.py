"""SCIM 2.0 (RFC 7643, RFC 7644): an identity provider pushes people and groups to the directory of its key."""
