"""What there is to know: sources, streams, parsing, documents, chunking, embedding and quality."""
