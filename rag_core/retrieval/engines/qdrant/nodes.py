"""The nodes of a Qdrant cluster: choose a node for each call, and retry during an outage.

An operation is repeated as a whole, not only the failed request: a write reads versions again before it writes, and a
collection that was created before the response got lost is found.
"""

from __future__ import annotations

import functools
import math
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import stamina
from qdrant_client import QdrantClient

from rag_core.errors import ConfigError, DeadlineExceeded, Reason
from rag_core.logging import get_logger
from rag_core.retrieval.engines.qdrant.filters import Unreachable, engine_errors

log = get_logger(__name__)
AGAIN_SECONDS: Final = 10.0
"""Time until a failed node is used again; earlier only when all others failed later."""
_GRPC_PORT, _REST_PORT = 6334, 6333
_CHANNEL: Final = {
    # Without keepalive pings a call to a server that lost power waits for its whole deadline.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    # Reconnect to a restarted server within a second, not after gRPC's minutes of backoff; give up on a silent host
    # after two seconds, not twenty.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.min_reconnect_backoff_ms": 2000,
}
Result = TypeVar("Result")


class Node:
    """One address. `again_at` is when to use it again after a failure."""

    def __init__(self, client: QdrantClient, *, tls: bool = False) -> None:
        self.client = client
        self.tls = tls
        self.again_at = 0.0


class Nodes:
    """The nodes in the given order; calls go to the first that has not just failed. Thread-safe."""

    def __init__(
        self, nodes: Sequence[Node], *, retry: float, local: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`retry` is how many seconds an operation waits for any node; 0 tries each node once.

        `local` means qdrant-client's in-memory mode, which is not thread-safe.
        """
        self._nodes = list(nodes)
        self._retry = retry
        self._repeated = stamina.RetryingCaller(None, retry, wait_max=2.0, wait_jitter=0.2).on(Unreachable)
        self._local = local
        self._clock = clock
        self._one_at_a_time = threading.RLock()
        self._running = threading.local()

    def call(self, request: Callable[[QdrantClient], Result]) -> Result:
        """Send one request to one node, with errors translated."""
        now = self._clock()
        node = min(self._nodes, key=lambda node: node.again_at if node.again_at > now else 0.0)
        try:
            with engine_errors(tls=node.tls):
                if not self._local:
                    return request(node.client)
                with self._one_at_a_time:
                    return request(node.client)
        except (Unreachable, DeadlineExceeded):
            node.again_at = self._clock() + AGAIN_SECONDS
            raise

    def persist(self, operation: Callable[[], Result]) -> Result:
        """Run an operation; repeat it with the next node when one cannot be reached, until `retry` is over."""
        if getattr(self._running, "yes", False):
            return operation()  # part of an operation that is repeated as a whole
        self._running.yes = True
        try:
            return self._repeated(self._on_any, operation) if self._retry else self._on_any(operation)
        finally:
            self._running.yes = False

    def _on_any(self, operation: Callable[[], Result]) -> Result:
        for _ in self._nodes[1:]:
            try:
                return operation()
            except Unreachable as error:
                log.warning("qdrant_node_failed", message=error.message)
        return operation()

    def close(self) -> None:
        for node in self._nodes:
            node.client.close()


def connected(addresses: str, api_key: str | None, timeout: float, tls: Mapping[str, bytes]) -> list[Node]:
    """A node for each `http(s)://host:port` in `addresses`, separated by commas. They connect at the first call.

    Raises `ConfigError` (`CONFIG_INVALID`) for an address of another form.
    """
    return [_connected(address.strip(), api_key, timeout, tls) for address in addresses.split(",")]


def _connected(address: str, api_key: str | None, timeout: float, tls: Mapping[str, bytes]) -> Node:
    parts = urlsplit(address)
    port = _checked_port(parts)
    if api_key is not None and parts.scheme == "http":
        _warn_of_key_in_clear()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        client = QdrantClient(
            host=parts.hostname,
            grpc_port=port or _GRPC_PORT,
            https=parts.scheme == "https",
            prefer_grpc=True,
            api_key=api_key,
            timeout=max(1, round(timeout)),
            grpc_options={**_CHANNEL, **tls},
            check_compatibility=False,  # the check uses HTTP, which may be unreachable
        )
    return Node(client, tls=parts.scheme == "https")


@functools.cache
def _warn_of_key_in_clear() -> None:
    """Log a warning once per process."""
    log.warning("qdrant_key_in_clear", message="RAG_QDRANT_API_KEY is sent without TLS; use https:// outside a host")


def _checked_port(url: SplitResult) -> int | None:
    """The port of an address. Raises `ConfigError` (`CONFIG_INVALID`) for parts that a gRPC client ignores."""
    shape = "RAG_QDRANT_URL must be http(s)://host:port (Qdrant's gRPC port, 6334), several of a cluster with commas"
    try:
        port = url.port
    except ValueError:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}; its port is none") from None
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ConfigError(Reason.CONFIG_INVALID, shape)
    if url.username is not None or url.password is not None:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}, without a user: the key is RAG_QDRANT_API_KEY")
    if url.path not in {"", "/"} or url.query or url.fragment:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}, without a path: gRPC has none")
    if port == _REST_PORT:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}; {_REST_PORT} is the port of its REST interface")
    return port


def whole_seconds(most: float, deadline: float | None) -> int:
    """Seconds until the deadline, at most `most`, rounded up, because Qdrant takes whole seconds.

    Raises `DeadlineExceeded` (`DEADLINE`) after the deadline.
    """
    left = most if deadline is None else min(most, deadline - time.monotonic())
    if left <= 0:
        raise DeadlineExceeded(Reason.DEADLINE, "the time allowed to this call is over")
    return math.ceil(left)
