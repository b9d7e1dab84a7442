"""How the code location is named in Dagster, for those who must not load Dagster to know it."""

LOCATION = "rag"
