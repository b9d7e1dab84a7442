"""What every process shares that calls the platform's services: failed calls, circuit breaker, Dagster, and settings
read from the environment."""
