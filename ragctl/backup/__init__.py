"""Backup of the local stack into one file, and its restore into an empty folder."""
