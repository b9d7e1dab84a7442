"""`python -m rag_assets.code_server …`: `dagster code-server start …`, which ends when the definitions are gone.

Dagster's code server is a proxy before a child process that holds the definitions. When the child dies (kill -9, out of
memory, a crash while it loads), the proxy keeps its port and refuses every call for ever. So the proxy ends too, and
its supervisor (supervisord, Docker, the kubelet) starts both again.

At rest the proxy asked its child three times a second whether it is the one that it was, on a connection of its own.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any
from weakref import WeakKeyDictionary

import psutil

_HEARTBEAT_SECONDS = 10
"""The child ends 30 s after the last one; one a second is Dagster's."""
_SETTLE_SECONDS = 1.0
"""An orderly end also begins with the end of the child; the proxy is gone by then."""


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM, or until no child is left."""
    [command] = entry_points(group="console_scripts", name="dagster")
    cli = command.load()  # before the watch begins: what it imports starts processes that end at once
    _ask_the_child_less()
    ended = threading.Event()
    # An event: asking now and then would cost processor time at rest.
    signal.signal(signal.SIGCHLD, lambda *_: ended.set())
    threading.Thread(target=_exit_without_child, args=(ended,), name="watch-child", daemon=True).start()
    sys.argv = ["dagster", "code-server", "start", *arguments]
    cli()


def _ask_the_child_less() -> None:
    from dagster._grpc import client, proxy_server

    proxy = proxy_server.DagsterProxyApiServicer
    ask, known = proxy.GetServerId, WeakKeyDictionary[object, object]()

    def server_id(self: Any, request: object, context: object) -> object:
        child = self._client
        if child is None:
            return ask(self, request, context)
        if child not in known:
            known[child] = ask(self, request, context)
        return known[child]

    client.CLIENT_HEARTBEAT_INTERVAL = _HEARTBEAT_SECONDS
    proxy.GetServerId = server_id  # type: ignore[assignment,method-assign]


def _exit_without_child(ended: threading.Event) -> None:
    """End this process when a child has ended and none is left. A reload starts the next before it ends the last."""
    while ended.wait():
        ended.clear()
        time.sleep(_SETTLE_SECONDS)
        if not any(child.status() != psutil.STATUS_ZOMBIE for child in psutil.Process().children()):
            logging.getLogger("dagster.code_server").error("The process with the definitions has died; starting again")
            os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
