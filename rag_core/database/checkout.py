"""Pooled connections that the server has closed are replaced before they are used."""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError


def replace_closed(engine: Engine) -> None:
    """Let the pool open another connection for one that the server has closed.

    `pool_pre_ping` asks the server each time, which doubled the statements of a process at rest. Its end of a
    connection can be read, so a connection is asked only when there is something to read.
    """

    @event.listens_for(engine, "checkout")
    def _check(connection: Any, _record: object, _proxy: object) -> None:
        with suppress(engine.dialect.loaded_dbapi.Error):
            readable = select.poll()
            readable.register(connection.fileno(), select.POLLIN)
            if not readable.poll(0) or engine.dialect.do_ping(connection):
                return
        raise DisconnectionError
