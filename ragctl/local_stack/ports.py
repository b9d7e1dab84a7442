"""The ports of a local stack, counted from one: `rag up --ports-from`."""

from __future__ import annotations

import os

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings

_FIRST = 1024
_RANGE = 300
_QUERY_SERVERS = 20
"""Offset of the first query server's ports: each further server has those of the last plus 10, green plus 100."""
_OF_QUERY_SERVERS = ("query_port", "metrics_port")
_OTHERS = sorted(
    (
        name
        for name, field in Settings.model_fields.items()
        if name.endswith("_port") and field.default is not None and name not in _OF_QUERY_SERVERS
    ),
    key=lambda name: name != "gateway_port",  # the port that people use comes first
)


def ports_counted_from(first: int | None) -> dict[str, object]:
    """Every setting that names a port, from `first` on; nothing without one.

    Raises `ConfigError` (`USAGE`) when they do not fit, or when one is set in the environment, which would win in every
    later command.
    """
    if first is None:
        return {}
    if not _FIRST <= first <= 65_536 - _RANGE:
        raise ConfigError(Reason.USAGE, f"--ports-from must be {_FIRST} to {65_536 - _RANGE}: {_RANGE} ports follow")
    numbers = {name: first + at for at, name in enumerate(_OTHERS)}
    numbers |= {name: first + _QUERY_SERVERS + at for at, name in enumerate(_OF_QUERY_SERVERS)}
    ports: dict[str, object] = {**numbers, "replica_ports": None, "green_ports": None}
    if taken := sorted({f"RAG_{name.upper()}" for name in ports} & os.environ.keys()):
        raise ConfigError(Reason.USAGE, f"--ports-from: the environment sets {', '.join(taken)}; unset that first")
    return ports
