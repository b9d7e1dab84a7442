"""`rag bench answers`: accuracy, citations and abstention of the extractive answerer on labelled questions."""

from benchmarks.answers.run import run

__all__ = ["run"]
