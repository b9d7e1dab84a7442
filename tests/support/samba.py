"""Samba's server as tests start it, with its accounts and the permissions of its files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from smbprotocol.exceptions import AccessDenied
from smbprotocol.file_info import InfoType
from smbprotocol.open import CreateDisposition, FilePipePrinterAccessMask, Open, SMB2SetInfoRequest

from benchmarks.ports import free_port
from rag_assets.connectors import open_connector
from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.files.smb import SmbFiles, connect
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK
from rag_core.content.sources import Connector, Problem, SourceItem
from rag_core.errors import Unavailable
from rag_core.http_client import FetchPolicy
from tests.support.descriptors import Ace, descriptor

SMBD = os.environ.get("RAG_TEST_SMBD") or shutil.which("smbd", path=f"{os.environ['PATH']}:/usr/sbin")
PASSWORD, ADMIN, PEOPLE = "s3cret", "root", ("daemon", "games")
WORLD, FULL = "S-1-1-0", 0x001F_01FF


class Samba:
    """Samba with accounts of its own database for users that every Debian has. It decides by the permissions of
    Windows alone."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", port: int | None = None, more: str = "") -> None:
        self.folder, self.address, self.port = folder, address, port or free_port()
        for name in ("lock", "state", "cache", "private", "run", "rpc", "files", "links"):
            (folder / name).mkdir()
        (folder / "smb.conf").write_text(f"""
[global]
  server role = standalone server
  netbios name = FILES
  smb ports = {self.port}
  interfaces = {address}/8
  bind interfaces only = yes
  disable netbios = yes
  disable spoolss = yes
  load printers = no
  log file = {folder}/log
  lock directory = {folder}/lock
  state directory = {folder}/state
  cache directory = {folder}/cache
  private dir = {folder}/private
  pid directory = {folder}/run
  ncalrpc dir = {folder}/rpc
  vfs objects = acl_xattr
  acl_xattr:ignore system acls = yes
  {more}
[docs]
  path = {folder}/files
  read only = no
[links]
  path = {folder}/links
  msdfs root = yes
[elsewhere]
  path = {folder}/links
  msdfs root = yes
  msdfs proxy = \\127.0.0.2\\links
""")
        self.sids = {name: self._account(name) for name in (ADMIN, *PEOPLE)}
        self.start()

    def _account(self, name: str) -> str:
        config = str(self.folder / "smb.conf")
        typed = f"{PASSWORD}\n{PASSWORD}\n"
        subprocess.run(["smbpasswd", "-c", config, "-a", "-s", name], input=typed, text=True, check=True)
        found = subprocess.run(["pdbedit", "-s", config, "-v", name], capture_output=True, text=True, check=True)
        return str(re.findall(r"User SID:\s+(\S+)", found.stdout)[0])

    def start(self) -> None:
        command = [str(SMBD), "--foreground", "--no-process-group", "-s", str(self.folder / "smb.conf")]
        # It ends the processes of its group with itself.
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + 60
        while True:
            try:
                return self.session(ADMIN).close()
            except (Unavailable, ValueError, OSError):
                if self._process.poll() is not None or time.monotonic() > until:
                    raise

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def options(self, user: str = ADMIN, **more: Any) -> dict[str, Any]:
        return {"kind": "smb", "host": self.address, "port": self.port, "share": "docs", "user": user, "attempts": 1,
                "password": {"env": "RAG_SECRET_FILES"}, **more}  # fmt: skip

    def session(self, user: str) -> SmbFiles:
        return connect(SmbOptions.model_validate(self.options(user)), FetchPolicy())

    def may_read(self, person: str, path: str) -> bool:
        """Ask Samba itself."""
        with closing(self.session(person)) as files:
            try:
                with files.open(path) as opened:
                    return bool(opened.read(1))
            except AccessDenied:
                return False

    def protect(self, path: str, aces: list[Ace]) -> None:
        """Set the entries of a file or folder, in this order, without inheritance."""
        asked = SMB2SetInfoRequest()
        asked["info_type"], asked["additional_information"] = InfoType.SMB2_0_INFO_SECURITY, 0x4
        asked["buffer"] = descriptor(aces, self.sids[ADMIN])
        with closing(self.session(ADMIN)) as files, files._shares.opened(path, 0x0004_0000) as opened:
            asked["file_id"] = opened.file_id
            tree = opened.tree_connect
            request = opened.connection.send(asked, tree.session.session_id, tree.tree_connect_id)
            opened.connection.receive(request)

    def close(self) -> None:
        self.stop()

    def put(self, path: str, text: str) -> None:
        """Write a file as a client of the server does."""
        with closing(self.session(ADMIN)) as files:
            target = files._shares.target_of(path)
            opened = Open(target.tree, path.strip("/").replace("/", "\\"))
            opened.create(2, FilePipePrinterAccessMask.GENERIC_WRITE, 0, 7, CreateDisposition.FILE_OVERWRITE_IF, 0)
            opened.write(text.encode())
            opened.close()

    def write(self, path: str, text: str) -> Path:
        """Write a file as somebody does who works on the server."""
        file = self.folder / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


class Namespace:
    """A namespace of the first server, with links to both."""

    def __init__(self, first: Samba, second: Samba) -> None:
        self.first, self.second = first, second
        self.options = first.options(share="links", dfs_servers=["127.0.0.2"])

    def link(self, path: str, *targets: str, server: Samba | None = None) -> None:
        link = (server or self.first).folder / "links" / path
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to("msdfs:" + ",".join(target.replace("/", "\\") for target in targets))

    def connector(self, **more: Any) -> AbstractContextManager[Connector]:
        attributes = {"name": "docs", "tenant": "acme", "options": self.options | more}
        return open_connector(SourceConfig.model_validate(attributes), ConnectorContext(fetch_policy=LOOPBACK))

    def listed(self, **more: Any) -> tuple[dict[str, str], list[str], str | None]:
        """Texts by locator, reasons of problems, and what keeps the listing from being complete."""
        with self.connector(**more) as connector:
            entries = list(listing := connector.list_items())
            items = [one for one in entries if isinstance(one, SourceItem)]
            found = {item.locator: connector.fetch(item).content.decode() for item in items}
        return found, [one.reason for one in entries if isinstance(one, Problem)], listing.error
