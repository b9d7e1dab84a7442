"""Entry point of the console: `streamlit run console/app.py`. The pages are in `main.py`."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware import Middleware
from streamlit import config
from streamlit.starlette import App

from console.connections import OpenSockets
from console.index_page import index_routes
from console.logs import keep_content_out
from console.presenters.new_source import MAX_MEGABYTES
from console.protection import Protection
from console.settings import ConsoleSettings
from console.sign_in import sign_in_routes

keep_content_out()
_SETTINGS = ConsoleSettings()
_SOCKETS = OpenSockets()
if _SETTINGS.allowed_origins:
    # Streamlit compares host names only, and takes localhost for one of its own: `Protection` is before it. But it must
    # not refuse what is configured, where a proxy changed the host.
    config.set_option("server.corsAllowedOrigins", list(_SETTINGS.allowed_origins))
config.set_option("server.maxUploadSize", MAX_MEGABYTES)
app = App(
    Path(__file__).parent / "main.py",
    routes=[*sign_in_routes(_SETTINGS, _SOCKETS), *index_routes(_SETTINGS)],
    middleware=[Middleware(Protection, settings=_SETTINGS, sockets=_SOCKETS)],
)
