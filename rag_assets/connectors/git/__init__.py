"""Files of a Git repository at a ref as a source."""
