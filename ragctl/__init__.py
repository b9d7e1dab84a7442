"""The `rag` command: the local stack, queries, tokens, operations, and the gateway configuration."""
