"""`rag bench retrieval`: retrieval quality on labelled sets."""

from benchmarks.retrieval.run import run
