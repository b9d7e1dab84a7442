"""`rag bench answers`: how well and how fast the extractive answerer answers, and the fit of its constants."""

from benchmarks.answers.run import Questions, run
