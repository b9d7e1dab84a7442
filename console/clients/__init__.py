"""Clients of the console: gRPC, GraphQL, HTTP. Every failure is a `ServiceError`."""
