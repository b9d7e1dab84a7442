"""Threads, messages and files of a Slack workspace."""
