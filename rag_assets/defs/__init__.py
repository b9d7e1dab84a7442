"""The definitions of this code location, one folder per area with the same file names."""
