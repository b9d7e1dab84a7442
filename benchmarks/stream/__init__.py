"""How soon a change is searchable, and a deletion gone: the stream worker against Pathway."""

from benchmarks.stream.run import Sizes, run

__all__ = ["Sizes", "run"]
