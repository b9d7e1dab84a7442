"""`rag bench sources`: many listed sources on the running stack: first loads, and how soon changes are searchable."""

from benchmarks.sources.run import Sizes, run
