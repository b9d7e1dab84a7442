"""The roles a container can take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rag_assets.instance import render_dagster_yaml, render_workspace_yaml
from rag_core.errors import ConfigError, Reason
from rag_core.files import replace_file
from rag_core.settings import DAGSTER_LOCATION, Settings

ROLES = (
    "query-server",
    "dagster-code",
    "dagster-webserver",
    "dagster-daemon",
    "stream",
    "console",
    "interfaces",
    "rate-limits",
    "deployer",
)
_OF_DAGSTER = ("dagster-code", "dagster-webserver", "dagster-daemon", "stream", "migrate", "bootstrap")


def become(settings: Settings, role: str) -> None:
    """Replace this process by the role's, so that signals and exit codes are its own."""
    prepare(settings, role)
    command = command_of(settings, role)
    os.execv(command[0], command)  # noqa: S606  fixed commands


def command_of(settings: Settings, role: str) -> list[str]:
    """The command line of a role."""
    host, workspace = settings.host, str(_dagster_home() / "workspace.yaml")
    code_port = str(settings.code_location_port)
    # -P: the working folder must not shadow modules.
    python = [sys.executable, "-P", "-m"]
    match role:
        case "query-server":
            return [*python, "query_server"]
        case "dagster-code":
            where = ["-h", host, "-p", code_port, "-m", "rag_assets.definitions", "--location-name", DAGSTER_LOCATION]
            # Runs start as `python -m dagster`: the script of that name is on no PATH here.
            return [*python, "rag_assets.code_server", *where, "--use-python-environment-entry-point"]
        case "dagster-webserver":
            return [*python, "rag_assets.webserver", workspace]
        case "dagster-daemon":
            return [*python, "rag_assets.daemon", "run", "-w", workspace]
        case "stream":
            return [*python, "rag_assets.stream_worker"]
        case "deployer":
            return [*python, "ragctl.rollout.controller", "--target", "kubernetes", "--beat", "/tmp/deployer"]  # noqa: S108
        case "rate-limits":
            return [*python, "query_server.rate_limits"]
        case "interfaces":
            return [*python, "interfaces"]
        case "console":
            return [*python, "streamlit", "run", *_console(settings)]
    raise ConfigError(Reason.USAGE, f"no such role: {role}")


def prepare(settings: Settings, role: str) -> None:
    """Check the secrets, and lay out what Dagster reads: its folder, and the database URL in the environment."""
    if role == "console":
        from ragctl.local_stack.services import NO_FORWARDED

        os.environ.update(NO_FORWARDED)
        os.environ.setdefault("RAG_CONSOLE_ENVIRONMENT", settings.environment)
    elif role == "interfaces":
        from ragctl.local_stack.services import interfaces_environment

        for name, value in interfaces_environment(settings, f"dns:///gateway:{settings.gateway_internal_port}").items():
            os.environ.setdefault(name, value)
    elif role != "rate-limits":  # which holds no secret but the address of its Redis
        settings.require_production_secrets()
    if role not in _OF_DAGSTER:
        return
    home = _dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    given = settings.dagster_yaml
    instance = given.read_text("utf-8") if given else render_dagster_yaml(settings)
    replace_file(home / "dagster.yaml", instance.encode())
    replace_file(home / "workspace.yaml", render_workspace_yaml(settings).encode())
    # dagster.yaml names this variable; when the secret came as a file it is not there yet.
    os.environ["RAG_DATABASE_URL"] = settings.effective_database_url


def _dagster_home() -> Path:
    return Path(os.environ["DAGSTER_HOME"])


def _console(settings: Settings) -> list[str]:
    import console
    from ragctl.local_stack.services import STREAMLIT_FLAGS

    app = str(Path(console.__file__).parent / "app.py")
    return [app, "--server.address", settings.host, "--server.port", str(settings.console_port), *STREAMLIT_FLAGS]
