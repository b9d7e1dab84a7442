"""Instances: every definition and component of this project, found by Dagster in this folder."""
