"""Streams as Dagster sees them: external assets, a drain run when no worker is alive, and their lag."""
