"""Create a peer's environment under RAG_HOME/bench/peers when it is first needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_core.content.embedding import prepare_model
from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
# LanceDB would warn of coming changes twice in each search.
_QUIET = {"COCOINDEX_DISABLE_USAGE_TRACKING": "1", "ANONYMIZED_TELEMETRY": "False", "DO_NOT_TRACK": "1"}
_QUIET |= {"LANCEDB_LOG": "error"}
_INSTALL_SECONDS = 900


def ensure_peer(settings: Settings, name: str, packages: Sequence[str]) -> Path:
    """The Python of the peer's environment, created when absent.

    Raises `Unavailable` (`START_FAILED`) when the packages cannot be installed.
    """
    prepare_model(settings)  # making its files needs more packages than running it
    home = settings.home.resolve()
    embedding = _run([sys.executable, "-m", "benchmarks.peers.needs", str(home)], "the embedder").split()
    wanted = [*packages, *embedding]
    digest = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    folder = home / "bench" / "peers" / f"{name}-{digest}"  # peers run in other working folders
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], f"the environment of {name}")
        _run([*uv, "pip", "install", "--quiet", "--python", str(python), *wanted], f"the installation of {name}")
        (folder / "complete").touch()
    return python


def peer_environment() -> dict[str, str]:
    """The environment of a peer process: our checkout importable, its usage reports off, none of our settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAG_")}
    return inherited | _QUIET | {"PYTHONPATH": str(ROOT)}


def run_peer(python: Path, module: str, arguments: Mapping[str, object], *, timeout: float) -> Any:
    """Run a peer's module to its end and return the JSON document it prints last."""
    command = [str(python), "-m", module, *(f"--{key}={value}" for key, value in arguments.items())]
    try:
        done = subprocess.run(
            command, env=peer_environment(), capture_output=True, text=True, timeout=timeout, check=True
        )
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.CalledProcessError as error:
        raise _failed(module, error.stderr) from None
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise _failed(module, str(error)) from None


def _run(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(
            command, env=peer_environment(), capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise _failed(what, error.stderr) from None
    except subprocess.TimeoutExpired:
        raise _failed(what, f"no end after {_INSTALL_SECONDS} s") from None
    return done.stdout


def _failed(what: str, details: str) -> Unavailable:
    last = " | ".join(details.strip().splitlines()[-3:])
    return Unavailable(Reason.START_FAILED, f"{what} failed: {last[-500:]}")
