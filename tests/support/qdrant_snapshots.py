"""The commands of docs/how-to/backup-and-restore.md about snapshots of Qdrant, and a run of them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "backup-and-restore.md"


def commands() -> tuple[str, str]:
    """The commands that take a snapshot and restore it."""
    (section,) = re.findall(r"(?ms)^## Snapshots of Qdrant\n(.*?)(?=^## |\Z)", _PAGE.read_text("utf-8"))
    taking, restoring = re.findall(r"(?ms)^```sh\n(.*?)^```", section)
    return taking, restoring


def run(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The output of commands of the page, each of which must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
