"""Latency from change to searchable and from delete to gone: the stream worker against Pathway."""

from benchmarks.stream.run import Sizes, run
