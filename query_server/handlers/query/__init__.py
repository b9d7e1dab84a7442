"""Search, answer and batch search."""
