"""Maintenance of the installation."""
