"""The sensor that measures the rows for the history."""
