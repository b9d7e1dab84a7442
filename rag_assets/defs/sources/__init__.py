"""A source's assets, checks, job, schedule and sensor, as functions of its configuration."""
