"""Peer systems that do part of the work, installed into environments of their own."""
