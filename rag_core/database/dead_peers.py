"""Notice within a minute, at both ends of a connection, that the machine of the other end lost power.

Left to itself TCP waits two hours for a peer that is silent, and a quarter of an hour for the answer to what was sent:
keepalives bound the one, the user timeout (RFC 5482) the other. The server holds the locks of a session that long.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, event


def client_limits(idle: int = 30, interval: int = 10, count: int = 3) -> dict[str, int]:
    """Return connection parameters of libpq, for a program whose server may be gone with its statement timeout.

    A silent server is asked after `idle` seconds, `count` times every `interval` seconds.
    """
    return {
        "keepalives_idle": idle,
        "keepalives_interval": interval,
        "keepalives_count": count,
        "tcp_user_timeout": (idle + interval * count) * 1000,  # milliseconds
    }


_SERVER: Final = "; ".join(
    f"SET {name if name.startswith('tcp_') else f'tcp_{name}'} = {value}" for name, value in client_limits().items()
)
"""The same limits for the server's end."""


def notice_dead_peers(engine: Engine) -> None:
    """Limit how long each connection of an engine, of either driver of PostgreSQL, and its session outlive a peer."""

    @event.listens_for(engine, "do_connect")
    def _limit_client(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        parameters.update(client_limits())

    @event.listens_for(engine, "connect")
    def _limit_server(connection: Any, _record: object) -> None:
        # By statements: a connection pooler refuses unknown start-up options.
        cursor = connection.cursor()
        cursor.execute(_SERVER)
        cursor.close()
        connection.commit()
