"""`rag bench embed`: throughput by number of threads and batch size, and the cost of a query."""

from benchmarks.embed.run import run

__all__ = ["run"]
