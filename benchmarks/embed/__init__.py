"""`rag bench embed`: which number of threads and batch size is fastest here, and what a query costs."""

from benchmarks.embed.run import run

__all__ = ["run"]
