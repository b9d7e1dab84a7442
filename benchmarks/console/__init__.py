"""`rag bench console`: how long a page takes to paint, and how long many sessions at once wait for it."""

from benchmarks.console.run import Sizes, run

__all__ = ["Sizes", "run"]
