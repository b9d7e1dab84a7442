"""What traces cost: processor time of a search without them, with one of a hundred sampled, and with all."""

from benchmarks.traces.run import Sizes, run
