"""Benchmarks of this installation against the design's targets, each beside a limit or a peer of the same run."""
