"""`python -m benchmarks.answers DATA [QUERIES]`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.answers import run
from benchmarks.report import progress_bar, show
from rag_core.settings import Settings

with progress_bar("answers") as progress:
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else None
    report = run(Settings.load(), Path(sys.argv[1]), max_queries=limit, progress=progress)
show(report, as_json=False)
