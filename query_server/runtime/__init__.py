"""The machinery of a server process: threads, polling, circuit breaker, listening, metrics, readiness."""
