"""Web sites as a source."""
