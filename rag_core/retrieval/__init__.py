"""Finding it: the interface of the vector index, its engines, and hybrid search."""
