"""How often the extractive answerer is right, cites exactly, and abstains when the answer is gone."""

from benchmarks.answers.run import run

__all__ = ["run"]
