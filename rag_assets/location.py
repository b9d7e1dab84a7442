"""The name of the code location, for modules that must not import Dagster."""

LOCATION = "rag"
