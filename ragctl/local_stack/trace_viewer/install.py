"""The environment of the trace viewer: its packages by their hashes, apart from those of the platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from rag_core.errors import Reason, Unavailable
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir

LOCK = Path(__file__).with_name("requirements.txt")
_SECONDS = 1800
"""Seconds of one command: 150 packages, 170 MB to fetch."""


def environment_of(data_dir: DataDir) -> Path:
    """The folder of the environment; another lock has another one."""
    return data_dir.traces / f"phoenix-{sha256(LOCK.read_bytes()).hexdigest()[:12]}"


def python_of(data_dir: DataDir) -> Path:
    """The interpreter that the viewer runs with."""
    return environment_of(data_dir) / "bin" / "python"


def is_installed(data_dir: DataDir) -> bool:
    """Return whether there is nothing to install."""
    return _mark(environment_of(data_dir)).exists()


def install(data_dir: DataDir) -> None:
    """Make the environment, and remove those of other releases. Raises `Unavailable` (`TRACES_UNAVAILABLE`)."""
    folder = environment_of(data_dir)
    for other in data_dir.traces.glob("phoenix-*"):
        shutil.rmtree(other)  # also one that an interrupted command left half made
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    with data_dir.log("traces").open("a") as log:
        for command in _commands(folder):
            try:
                subprocess.run(command, check=True, timeout=_SECONDS, stdout=log, stderr=log)
            except (OSError, subprocess.SubprocessError):
                message = "the trace viewer could not be installed: see `rag logs traces`"
                raise Unavailable(Reason.TRACES_UNAVAILABLE, message) from None
    _mark(folder).touch()


def _mark(folder: Path) -> Path:
    return folder / "complete"


def _commands(folder: Path) -> list[list[str]]:
    python = str(folder / "bin" / "python")
    locked = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)]
    # With uv it takes a tenth of pip's processor time; `make setup` installs it.
    if uv := shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--python", python, *locked],
        ]
    return [[sys.executable, "-m", "venv", str(folder)], [python, "-m", "pip", "install", *locked]]


SERVE = Path(__file__).with_name("serve.py")
_FULL_PERCENT = "100"


def viewer_url(settings: Settings) -> str:
    """The addresses of its pages and of spans; empty when the stack has none."""
    return f"http://127.0.0.1:{settings.traces_port}" if settings.traces else ""


def trace_url(settings: Settings) -> str:
    """The address of one trace, with `{trace}` for its id; empty when the stack has no viewer."""
    url = viewer_url(settings)
    return f"{url}/redirects/traces/{{trace}}" if url else ""


def viewer_environment(settings: Settings, data_dir: DataDir) -> dict[str, str]:
    """Variables of Phoenix: one port of this machine, bounded, and nothing that calls hosts or runs code."""
    off = ("TELEMETRY_ENABLED", "ALLOW_EXTERNAL_RESOURCES", "ENABLE_MCP_SERVER")
    disabled = ("DISABLE_AGENT_ASSISTANT", "AGENTS_DISABLE_WEB_ACCESS", "AGENTS_DISABLE_BASH", "AGENTS_DISABLE_GITHUB")
    known = {
        "HOST": "127.0.0.1",
        "PORT": str(settings.traces_port),
        "WORKING_DIR": str(data_dir.traces / "data"),
        "SQL_DATABASE_URL": f"sqlite:///{data_dir.traces / 'data' / 'phoenix.db'}",
        "FASTAPI_MIDDLEWARE_PATHS": f"{SERVE}:Front",
        "DEFAULT_RETENTION_POLICY_DAYS": str(settings.traces_days),
        "DATABASE_ALLOCATED_STORAGE_CAPACITY_GIBIBYTES": str(settings.traces_gib),
        "DATABASE_USAGE_INSERTION_BLOCKING_THRESHOLD_PERCENTAGE": _FULL_PERCENT,
        "ALLOWED_PROVIDERS": "NONE",
        "ALLOWED_SANDBOX_PROVIDERS": "NONE",
        **dict.fromkeys(off, "false"),
        **dict.fromkeys(disabled, "true"),
    }
    return {f"PHOENIX_{name}": value for name, value in known.items()}
