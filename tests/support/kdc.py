"""A realm of Kerberos: MIT's server of tickets with a database of its own, as Debian's `krb5-kdc` has it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.ports import free_port
from tests.support.waiting import eventually

REALM = "TEST.EXAMPLE"
_PATH = f"{os.environ['PATH']}:/usr/sbin"
KDC = os.environ.get("RAG_TEST_KRB5KDC") or shutil.which("krb5kdc", path=_PATH)


class Realm:
    """`environment` is what programs of the realm need."""

    def __init__(self, folder: Path) -> None:
        self.folder, port = folder, free_port()
        (folder / "krb5.conf").write_text(f"""
[libdefaults]
  default_realm = {REALM}
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
[realms]
  {REALM} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {REALM}
""")
        (folder / "kdc.conf").write_text(f"""
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {REALM} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    disable_pac = true
  }}
""")
        self.environment = {"KRB5_CONFIG": f"{folder}/krb5.conf", "KRB5_KDC_PROFILE": f"{folder}/kdc.conf"}
        self._command("kdb5_util", "create", "-s", "-P", "master")
        self.start()

    def start(self) -> None:
        command = [str(KDC), "-n"]
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, cwd=self.folder)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def account(self, name: str, *key: str) -> None:
        self._admin(f"addprinc {' '.join(key or ('-randkey',))} {name}")

    def change_key(self, name: str) -> None:
        self._admin(f"cpw -randkey {name}")

    def keytab(self, name: str) -> str:
        """Write the key that an account has now, and return the file."""
        file = self.folder / f"{name.replace('/', '-')}.keytab"
        self._admin(f"ktadd -norandkey -k {file} {name}")
        return str(file)

    def tickets(self, name: str, keytab: str, lifetime: str = "1h") -> str:
        """Get a ticket of an account, and return the file."""
        file = str(self.folder / f"{name}-{lifetime}")
        got = ("kinit", "-k", "-t", keytab, "-l", lifetime, "-c", f"FILE:{file}", name)
        assert eventually(lambda: self._try(*got) == 0), "the server gives no tickets"
        return file

    def is_valid(self, tickets: str) -> bool:
        return self._try("klist", "-s", "-c", f"FILE:{tickets}") == 0

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": _PATH, **self.environment}

    def _admin(self, query: str) -> None:
        self._command("kadmin.local", "-q", query)

    def _command(self, *command: str) -> None:
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def _try(self, *command: str) -> int:
        return subprocess.run(command, env=self._environment, check=False, capture_output=True).returncode
