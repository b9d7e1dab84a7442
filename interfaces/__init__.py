"""Interfaces defined by others: OpenAI's API, the Model Context Protocol, SCIM, OpenAPI.

Thin translations: every request becomes calls of the query server by gRPC with the caller's own credentials, so that
tenants, permissions, limits, audit and errors are the server's. Nothing here decides about access or keeps a document.
"""
