"""The gRPC services: convert, call the handler, convert back."""
