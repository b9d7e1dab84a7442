"""Other systems that do a part of the work, installed by the benchmarks into environments of their own."""
