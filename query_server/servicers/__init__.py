"""The gRPC surface: convert, await the handler, convert back."""
