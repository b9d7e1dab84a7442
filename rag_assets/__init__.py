"""The Dagster code location: sources as assets, their checks, sensors and schedules."""
