"""`rag bench ingest`: overhead of the pipeline over embedding, and the cost of unchanged and edited runs."""

from benchmarks.ingest.run import Sizes, run
