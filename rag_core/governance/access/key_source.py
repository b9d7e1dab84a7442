"""Sources of verification keys: a JWKS file, or the JWKS URL of an identity provider.

Both return the last valid keys without blocking; a new set that is invalid or missing is ignored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from rag_core.errors import ConfigError, RagError, Reason, Unavailable
from rag_core.governance.access.keys import VerificationKey, load_jwks, parse_jwks
from rag_core.logging import get_logger

RELOAD_SECONDS = 2.0
"""Interval between two reads of a key file."""
FETCH_PAUSE_SECONDS = 30.0
"""Minimum interval between fetches caused by unknown key ids."""
FETCH_TIMEOUT_SECONDS = 5.0
MAX_JWKS_BYTES = 262_144
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_log = get_logger("rag_core.keys")

Keys = Mapping[str, VerificationKey]


class KeySource(Protocol):
    """Verification keys by key id. A changed set is a new object, so that caches can detect it."""

    def current(self) -> Keys:
        """The current keys. Raises `Unavailable` (`KEYS_UNAVAILABLE`) until the first keys were read."""

    def fetch_unknown(self) -> bool:
        """Refetch the JWKS after an unknown `kid`. Blocking. Returns whether the key set may have changed."""


class FileKeys:
    """A JWKS file that may be replaced at run time. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `ConfigError` when it is missing, empty, or contains a weak or secret key."""
        self._path = path
        self._lock = threading.Lock()
        self._keys: Keys = load_jwks(path)
        self._stamp = _file_stamp(path)
        self._checked = time.monotonic()

    def current(self) -> Keys:
        if time.monotonic() - self._checked < RELOAD_SECONDS:
            return self._keys
        with self._lock:
            self._checked = time.monotonic()
            stamp = _file_stamp(self._path)
            if stamp == self._stamp:
                return self._keys
            try:
                self._keys = load_jwks(self._path)
            except RagError as error:
                _log.warning("key_file_rejected", reason=error.reason, problem=error.message)
                return self._keys
            self._stamp = stamp
            return self._keys

    def fetch_unknown(self) -> bool:
        return False  # the file is polled anyway


class UrlKeys:
    """The JWKS of an identity provider, fetched again every `refresh` seconds in a background thread.

    A token with an unknown key id also causes a fetch, at most one every `pause` seconds, so that invented ids cannot
    flood the provider. Thread-safe.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh: float,
        pause: float = FETCH_PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Check the URL and try a first fetch. Raises `ConfigError` for a URL that cannot be trusted."""
        self._url = require_safe_url(url)
        self._refresh = refresh
        self._pause = pause
        self._clock = clock
        self._keys: Keys | None = None
        self._fetching = threading.Lock()
        self._tried = float("-inf")
        self._fetch()

    def current(self) -> Keys:
        if self._clock() - self._tried >= (self._refresh if self._keys is not None else self._pause):
            self._fetch_beside()
        keys = self._keys
        if keys is None:
            raise Unavailable(Reason.KEYS_UNAVAILABLE, "the issuer's keys cannot be read just now; try again")
        return keys

    def fetch_unknown(self) -> bool:
        before = self._keys
        with self._fetching:
            if self._clock() - self._tried >= self._pause:
                self._fetch()
        return self._keys is not before

    def _fetch_beside(self) -> None:
        if self._fetching.acquire(blocking=False):
            # Counted from the start of the fetch, so that concurrent calls do not start a second one.
            self._tried = self._clock()
            threading.Thread(target=self._fetch_and_release, name="jwks", daemon=True).start()

    def _fetch_and_release(self) -> None:
        try:
            self._fetch()
        finally:
            self._fetching.release()

    def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            keys = parse_jwks(read_url(self._url), "RAG_JWT_JWKS_URL")
        except RagError as error:
            _log.warning("issuer's keys not read", reason=error.reason, problem=error.message)
            return
        if keys != self._keys:
            self._keys = keys


def require_safe_url(url: str) -> str:
    """Return the URL if its keys can be trusted. Raises `ConfigError` (`CONFIG_INVALID`)."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_JWT_JWKS_URL: not an address") from None
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or local):
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_JWT_JWKS_URL: https is needed (http on loopback only)")
    if parts.username or parts.password:
        raise ConfigError(Reason.SECRET_INLINE_FORBIDDEN, "RAG_JWT_JWKS_URL: must not hold a user or password")
    return url


def read_url(url: str) -> bytes:
    """GET at most `MAX_JWKS_BYTES`, without redirects or proxies. Raises `Unavailable` (`KEYS_UNAVAILABLE`)."""
    import httpx

    body = bytearray()
    try:
        with (
            httpx.Client(trust_env=False, follow_redirects=False, timeout=FETCH_TIMEOUT_SECONDS) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise Unavailable(Reason.KEYS_UNAVAILABLE, f"the issuer answered HTTP {response.status_code}")
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_JWKS_BYTES:
                    raise Unavailable(Reason.KEYS_UNAVAILABLE, "the issuer's key set is too large")
    except httpx.HTTPError as error:
        raise Unavailable(Reason.KEYS_UNAVAILABLE, f"the issuer cannot be reached ({type(error).__name__})") from None
    return bytes(body)


def _file_stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
