"""`rag gateway`: the configuration made from the settings, and the running gateway of the local stack."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from ragctl.output import Json, emit, emit_json, say

app = App(
    name="gateway",
    help="The gateway (Envoy): render, validate and apply its configuration; shift traffic.",
    help_format="plaintext",
)


@app.command
def render(*, folder: Path | None = None, json: Json = False) -> None:
    """Print the whole configuration as one file, or write the bootstrap and the watched files into a folder.

    Example: rag gateway render > envoy.yaml

    Parameters
    ----------
    folder
        Write `bootstrap.yaml` and its files to this folder instead; start Envoy with `-c FOLDER/bootstrap.yaml`.
    """
    from rag_core.settings import Settings
    from ragctl.gateway.bootstrap import bootstrap, write_dynamic
    from ragctl.gateway.bootstrap import render as render_yaml
    from ragctl.gateway.options import GatewayOptions

    options = GatewayOptions.from_settings(Settings.load())
    if folder is not None:
        changed = write_dynamic(options, folder.absolute())
        emit({"changed": changed}, "\n".join(changed) or "nothing changed", json=json)
    elif json:
        emit_json(bootstrap(options))
    else:
        say(render_yaml(options).rstrip("\n"))


@app.command
def validate(*, json: Json = False) -> None:
    """Validate the configuration with Envoy itself.

    Example: rag gateway validate
    """
    from rag_core.settings import Settings
    from ragctl.gateway.bootstrap import validate as run_envoy
    from ragctl.gateway.options import GatewayOptions

    run_envoy(GatewayOptions.from_settings(Settings.load()))
    emit({"valid": True}, "valid", json=json)


@app.command
def apply(*, json: Json = False) -> None:
    """Apply the settings to the local stack's running gateway. Envoy validates them first; an error changes nothing.

    Example: RAG_GATEWAY_CLIENT_PER_MINUTE=300 rag gateway apply
    """
    from ragctl.gateway.live import apply as apply_files
    from ragctl.local_stack.data_dir import load

    settings, data_dir = load()
    changed = apply_files(settings, data_dir.gateway)
    emit({"changed": changed}, "\n".join(changed) or "nothing changed", json=json)


@app.command
def shift(percent: int, /, *, json: Json = False) -> None:
    """Send PERCENT of the requests to the green query servers (RAG_GATEWAY_GREEN) and the rest to blue.

    Example: rag gateway shift 10
    """
    from ragctl.gateway.live import shift as shift_share
    from ragctl.local_stack.data_dir import load

    settings, data_dir = load()
    shift_share(settings, data_dir.gateway, percent)
    emit({"green_percent": percent}, f"{percent} % to green, {100 - percent} % to blue", json=json)
