"""An SFTP and a WebDAV server of PyPI over a folder, on a thread each."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import asyncssh
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp

USER, PASSWORD = "reader", "s3cret"
_QUIET = {"verbose": 0, "logging": {"enable": False}, "dir_browser": {"enable": False}}


class _Login(asyncssh.SSHServer):
    def __init__(self, connections: list[Any]) -> None:
        self._connections = connections

    def connection_made(self, conn: Any) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


class _Files(asyncssh.SFTPServer):
    """Files below a folder, in which nobody may look into folders called `locked`."""

    def __init__(self, channel: Any, root: Path) -> None:
        super().__init__(channel, chroot=str(root).encode())

    def scandir(self, path: bytes) -> Any:
        if path.endswith(b"/locked"):
            raise asyncssh.SFTPPermissionDenied("no")
        return super().scandir(path)


class SftpServer:
    """Restarted at its port with its key by `start`."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, 0
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self.fingerprint = self._key.get_fingerprint()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connections: list[Any] = []
        self._server: Any = None
        logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
        self.start()

    def start(self) -> None:
        self._server = self._run(self._listen())
        self.port = self._server.get_port()

    def stop(self) -> None:
        """End every connection, and listen no more. Idempotent."""
        self._run(self._end())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> Any:
        return await asyncssh.listen(
            "127.0.0.1", self.port, server_factory=lambda: _Login(self._connections), server_host_keys=[self._key],
            sftp_factory=lambda channel: _Files(channel, self.root),
        )  # fmt: skip

    async def _end(self) -> None:
        for connection in self._connections:
            connection.abort()
        for connection in self._connections:
            await connection.wait_closed()
        self._connections.clear()
        self._server.close()
        await self._server.wait_closed()

    def _run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(60)


class WebdavServer:
    """WsgiDAV with basic authentication."""

    def __init__(self, root: Path) -> None:
        users = {"*": {USER: {"password": PASSWORD}}}
        app = WsgiDAVApp({
            **_QUIET, "provider_mapping": {"/": {"root": str(root), "readonly": True}},
            "simple_dc": {"user_mapping": users},
        })  # fmt: skip
        self._server = wsgi.Server(("127.0.0.1", 0), app, numthreads=2)
        self._server.prepare()
        self.port = int(self._server.bind_addr[1])
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it. Idempotent."""
        self._server.stop()
        self._thread.join()
