"""`rag bench generations`: change the embedding model under queries and edits, several times."""

from benchmarks.generations.run import Sizes, run
