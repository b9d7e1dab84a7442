"""The content layer: sources, streams, parsing, documents, chunking, embedding and quality."""
