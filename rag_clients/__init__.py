"""Clients of the platform's own services, for every process that calls one: failed calls, circuit breaker, Dagster."""
