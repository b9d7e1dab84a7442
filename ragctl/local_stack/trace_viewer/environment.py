"""The environment of the trace viewer."""

from __future__ import annotations

from pathlib import Path

from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir

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
