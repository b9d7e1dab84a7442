"""Directories: the asset that brings them up to date, its check, and the sensor that sees a change."""
