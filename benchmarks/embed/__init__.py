"""`rag bench embed`: throughput by number of threads and batch size, the cost of a query; or the networks compared."""

from benchmarks.embed.run import run, run_networks
