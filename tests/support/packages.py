"""Packages that only some tests need: fetched once into the user's cache, by their hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

FETCH_SECONDS = 120


def fetched(name: str, requirements: Path) -> Path:
    """The folder with the packages of a file. Skips the test, with how to install them, where they cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag-platform"
    folder = cache / f"{name}-{sha256(requirements.read_bytes()).hexdigest()[:12]}"
    if not (folder / "complete").exists() and not _fetch(folder, requirements):
        how = f"pip install --no-deps -r tests/support/{requirements.name}"
        pytest.skip(f"no {name}: its packages could not be fetched within {FETCH_SECONDS} s; install them: {how}")
    return folder


def _fetch(folder: Path, requirements: Path) -> bool:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    try:
        subprocess.run(
            [*pip, "--target", str(folder), "--upgrade", "-r", str(requirements)],
            check=True,
            timeout=FETCH_SECONDS,
            capture_output=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return False
    (folder / "complete").touch()
    return True
