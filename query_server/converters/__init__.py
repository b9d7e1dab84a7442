"""Protobuf messages to and from the values of `rag_core` and of the handlers."""
