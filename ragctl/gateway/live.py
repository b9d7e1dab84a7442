"""The running gateway of the local stack: update its files and move weights without a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rag_core.errors import ConfigError, Reason
from rag_core.files import update_file
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import validate, write_dynamic
from ragctl.gateway.colours import colour_backends, read_colours
from ragctl.gateway.options import GatewayOptions

_SHARE = "green-percent"


def current_options(settings: Settings, folder: Path) -> GatewayOptions:
    """Options of the settings with the colours that run and the share of green that was set last.

    So an update of the files leaves a deployment as it is. The share counts only while there is a green.
    """
    options = GatewayOptions.from_settings(settings)
    colours = read_colours(folder)
    if settings.gateway_blue is None:
        options = replace(options, blue=colour_backends(settings, colours, "blue"))
    if settings.gateway_green is None:
        options = replace(options, green=colour_backends(settings, colours, "green"))
    return replace(options, green_percent=green_share(folder) if options.green.query else 0)


def green_share(folder: Path) -> int:
    """Per cent of the requests for green, as it was set last."""
    share = folder / _SHARE
    return int(share.read_text("ascii")) if share.exists() else 0


def apply(settings: Settings, folder: Path) -> list[str]:
    """Apply the settings to the files once Envoy has validated them; returns the names of the changed files.

    Raises `ConfigError` and changes nothing when Envoy refuses the configuration: the running one stays in force.
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
    options = current_options(settings, folder)
    if percent and not options.green.query:
        raise ConfigError(Reason.CONFIG_INVALID, "there is no green: `rag deploy up`, or set RAG_GATEWAY_GREEN")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The share first: the next writer of the files after a crash here writes the new one.
    update_file(folder / _SHARE, f"{percent}")
    write_dynamic(replace(options, green_percent=percent), folder)
