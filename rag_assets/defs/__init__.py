"""The definitions of this code location, an area in a folder with the same file names."""
