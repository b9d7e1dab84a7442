"""`rag gateway`: the Envoy configuration made from the settings."""

from __future__ import annotations

from cyclopts import App

from ragctl.output import Json, emit_json, say

app = App(name="gateway", help="The Envoy configuration.", help_format="plaintext")


@app.command
def render(*, json: Json = False) -> None:
    """Print the configuration that `rag up` gives to Envoy.

    Example: rag gateway render > envoy.yaml
    """
    from rag_core.settings import Settings
    from ragctl.gateway import GatewayOptions
    from ragctl.gateway import render as render_yaml
    from ragctl.gateway.bootstrap import bootstrap

    options = GatewayOptions.from_settings(Settings.load())
    if json:
        emit_json(bootstrap(options))
    else:
        say(render_yaml(options).rstrip("\n"))


@app.command
def validate(*, json: Json = False) -> None:
    """Let Envoy itself check the configuration.

    Example: rag gateway validate
    """
    from rag_core.settings import Settings
    from ragctl.gateway import GatewayOptions
    from ragctl.gateway import validate as run_envoy

    run_envoy(GatewayOptions.from_settings(Settings.load()))
    if json:
        emit_json({"valid": True})
    else:
        say("valid")
