"""Notice within a minute, at both ends of a connection, that the machine of the other end lost power.

Left to itself TCP waits two hours for a peer that is silent, and a quarter of an hour for the answer to what was sent:
keepalives bound the one, the user timeout (RFC 5482) the other. The server holds the locks of a session that long.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, event

_KEEPALIVES: Final = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""In seconds, and how often."""
_USER_TIMEOUT_MS: Final = 60_000
CLIENT_LIMITS: Final = {**_KEEPALIVES, "tcp_user_timeout": _USER_TIMEOUT_MS}
"""Connection parameters of libpq, for a program whose server may be gone; its statement timeout is the server's."""
_SERVER: Final = f"SET tcp_user_timeout = {_USER_TIMEOUT_MS}" + "".join(
    f"; SET tcp_{name} = {value}" for name, value in _KEEPALIVES.items()
)


def notice_dead_peers(engine: Engine) -> None:
    """Limit how long each connection of an engine, of either driver of PostgreSQL, and its session outlive a peer."""

    @event.listens_for(engine, "do_connect")
    def _limit_client(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        parameters.update(CLIENT_LIMITS)

    @event.listens_for(engine, "connect")
    def _limit_server(connection: Any, _record: object) -> None:
        # By statements: a connection pooler refuses unknown start-up options.
        cursor = connection.cursor()
        cursor.execute(_SERVER)
        cursor.close()
        connection.commit()
