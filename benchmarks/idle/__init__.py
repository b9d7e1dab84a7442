"""`rag bench idle`: what the local stack takes while nothing happens."""

from benchmarks.idle.run import run
