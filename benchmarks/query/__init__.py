"""`rag bench query`: what each layer between a caller and the engine costs, and how long a start takes."""

from benchmarks.query.run import Sizes, run

__all__ = ["Sizes", "run"]
