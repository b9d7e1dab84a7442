"""`rag bench embed`: throughput of the shipped embedder, and the cost of a query."""

from benchmarks.embed.run import run
