"""Upkeep of the installation itself."""
