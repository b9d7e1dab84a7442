"""`rag bench generations`: a change of the model under queries and edits, again and again."""

from benchmarks.generations.run import Sizes, run

__all__ = ["Sizes", "run"]
