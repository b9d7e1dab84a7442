"""Entry point of the console: `streamlit run console/app.py`. The pages begin in `main.py`."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from console.logs import keep_content_out
from console.protection import Protection
from console.settings import ConsoleSettings
from console.sign_in import sign_in_routes

keep_content_out()
_SETTINGS = ConsoleSettings()
app = App(
    Path(__file__).parent / "main.py",
    routes=sign_in_routes(_SETTINGS),
    middleware=[Middleware(Protection, settings=_SETTINGS)],
)
