"""`rag bench ingest`: what the pipeline costs beyond embedding, and what it does not do twice."""

from benchmarks.ingest.run import Sizes, run

__all__ = ["Sizes", "run"]
