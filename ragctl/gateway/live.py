"""The gateway of the local stack while it runs: files brought up to date, weights moved, nothing restarted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import validate, write_dynamic
from ragctl.gateway.files import update_file
from ragctl.gateway.options import GatewayOptions

_SHARE = "green-percent"


def current_options(settings: Settings, folder: Path) -> GatewayOptions:
    """Options of the settings with the share of green that was set last; none while there is no green."""
    options = GatewayOptions.from_settings(settings)
    share = folder / _SHARE
    if not options.green.query or not share.exists():
        return options
    return replace(options, green_percent=int(share.read_text("ascii")))


def apply(settings: Settings, folder: Path) -> list[str]:
    """Bring the files to the settings once Envoy has judged them; returns the names of those that changed.

    Raises `ConfigError` and changes nothing when Envoy refuses the configuration: the running one goes on.
    """
    options = current_options(settings, folder)
    validate(options)
    return write_dynamic(options, folder)


def shift(settings: Settings, folder: Path, percent: int) -> None:
    """Send this share of the requests to green, the rest to blue. Remembered; effective within milliseconds.

    Raises `ConfigError` (`CONFIG_RANGE`) outside 0 to 100, (`CONFIG_INVALID`) when there is no green.
    """
    if not 0 <= percent <= 100:
        raise ConfigError(Reason.CONFIG_RANGE, "percent: 0 to 100")
    options = GatewayOptions.from_settings(settings, green_percent=percent)
    write_dynamic(options, folder)
    update_file(folder / _SHARE, f"{percent}")
