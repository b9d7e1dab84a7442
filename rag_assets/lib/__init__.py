"""Building blocks that are not definitions: checks, table models, metadata."""
