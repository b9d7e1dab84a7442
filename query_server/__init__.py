"""The gRPC query server: servicers convert, handlers decide, `rag_core` does the work."""
