"""`rag bench retrieval`: how well the index finds what people marked as relevant."""

from benchmarks.retrieval.run import run

__all__ = ["run"]
