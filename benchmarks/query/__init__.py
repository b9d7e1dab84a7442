"""`rag bench query`: the cost of each layer between a caller and the engine, and start times."""

from benchmarks.query.run import Sizes, run
