"""JSON list endpoints as a source."""
