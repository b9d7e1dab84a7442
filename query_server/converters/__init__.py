"""Protobuf to plain values and back. Nothing else in the server knows both."""
