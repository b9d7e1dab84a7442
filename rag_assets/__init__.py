"""The Dagster code location: sources as assets, their checks, sensors and schedules."""

# Imported by every Dagster process that runs code of ours; the import itself keeps content out of its logs.
import rag_core.logging
