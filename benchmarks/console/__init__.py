"""`rag bench console`: time to paint a page, and latency of many sessions at once."""

from benchmarks.console.run import Sizes, run
