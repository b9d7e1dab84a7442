"""Directories of the kind `ldap` against OpenLDAP: who is who, groups within groups, and a person who leaves one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import ldap3
import pytest

from benchmarks.ports import free_port
from rag_assets.defs.directories.assets import directories, directory_files
from rag_assets.directories import read_directory
from rag_assets.resources import PIPELINE
from rag_core.database import Store
from rag_core.errors import RagError
from rag_core.governance.directories import DirectoryEntry, resolve
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings

SLAPD = os.environ.get("RAG_TEST_SLAPD") or shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(SLAPD is None, reason="no slapd (Debian's slapd), and RAG_TEST_SLAPD names none"),
]
PASSWORD, BASE = "s3cret", "dc=acme,dc=example"
ADMIN = f"cn=admin,{BASE}"
PEOPLE = {
    "ann": {"uidNumber": 1000, "gidNumber": 100, "mail": ["Ann@acme.example", "team@acme.example"]},
    "bo": {"uidNumber": 1001, "gidNumber": 200, "mail": ["bo@acme.example", "team@acme.example"]},
    "cy": {"uidNumber": 1002, "gidNumber": 200},
}


class Slapd:
    """OpenLDAP with a database of its own, run by the account of the tests."""

    def __init__(self, folder: Path, *, numbered: bool) -> None:
        """`numbered`: it numbers its changes (`contextCSN`), as servers with replicas do."""
        self.folder, self.port, self.tls_port = folder, free_port(), free_port()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "data").mkdir()
        includes = "".join(
            f"include /etc/ldap/schema/{one}.schema\n" for one in ("core", "cosine", "inetorgperson", "nis")
        )
        overlay = "overlay syncprov\n" if numbered else ""
        (folder / "slapd.conf").write_text(
            f"{includes}modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov\n"
            f"TLSCertificateFile {folder}/cert.pem\nTLSCertificateKeyFile {folder}/key.pem\nsizelimit 2\n"
            f'database mdb\nsuffix "{BASE}"\nrootdn "{ADMIN}"\nrootpw {PASSWORD}\ndirectory {folder}/data\n'
            f"{overlay}"
        )
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        self.process = subprocess.Popen(
            [str(SLAPD), "-f", folder / "slapd.conf", "-h", urls, "-d", "0"], stderr=subprocess.DEVNULL
        )
        self.connection = self._connect()
        self._fill()

    def _connect(self) -> Any:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
                return ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True)
            except (OSError, ldap3.core.exceptions.LDAPException):
                if self.process.poll() is not None or time.monotonic() > until:
                    raise

    def _fill(self) -> None:
        self.connection.add(BASE, ["dcObject", "organization"], {"o": "acme", "dc": "acme"})
        for name, said in PEOPLE.items():
            home = {"sn": name, "cn": name, "homeDirectory": f"/home/{name}"}
            self.connection.add(f"uid={name},{BASE}", ["inetOrgPerson", "posixAccount"], {**home, **said})
        self.group("engineers", "uid=cy")
        self.group("staff", "uid=ann", "cn=Engineers")  # names are compared without case
        self.group("circle", "cn=circle", "uid=bo")
        self.connection.add(f"cn=shared,{BASE}", "posixGroup", {"gidNumber": 300, "memberUid": ["ann", "nobody"]})
        self.connection.add(f"cn=default,{BASE}", "posixGroup", {"gidNumber": 200})

    def group(self, name: str, *members: str) -> None:
        self.connection.add(f"cn={name},{BASE}", "groupOfNames", {"member": [f"{one},{BASE}" for one in members]})

    def leave(self, group: str, member: str) -> None:
        change = {"member": [(ldap3.MODIFY_DELETE, [f"{member},{BASE}"])]}
        self.connection.modify(f"cn={group},{BASE}", change)

    def close(self) -> None:
        self.connection.unbind()
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(params=[True, False])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slapd]:
    monkeypatch.setenv("RAG_SECRET_LDAP", PASSWORD)
    with tempfile.TemporaryDirectory(prefix="rag-ldap-") as folder:
        found = Slapd(Path(folder), numbered=request.param)
        yield found
        found.close()


def write(settings: Settings, server: Slapd, **more: object) -> Path:
    options = {"host": "127.0.0.1", "port": server.port, "security": "none", "bind_dn": ADMIN, "base": BASE, **more}
    path = settings.effective_directories_dir / "corp.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name}: {value}\n" for name, value in options.items())
    path.write_text(f"kind: ldap\ntenant: acme\n{lines}password: {{env: RAG_SECRET_LDAP}}\n")
    return path


@pytest.mark.parametrize("server", [True], indirect=True)
def test_people_and_groups_have_the_names_that_sources_call_them(settings: Settings, server: Slapd) -> None:
    found = {one.entry: one for one in read_directory(write(settings, server), settings).entries}
    assert found["user:ann"] == DirectoryEntry("user:ann", ("uid:1000", "login:ann", "email:ann@acme.example"))
    assert {name: one.members for name, one in found.items() if name.startswith("group:")} == {
        "group:engineers": ("user:cy",),
        "group:staff": ("group:engineers", "user:ann"),
        "group:circle": ("group:circle", "user:bo"),
        "group:shared": ("user:ann",),
        "group:default": ("user:bo", "user:cy"),  # whose own group it is
    }
    assert found["group:shared"].names == ("gid:300", "group:shared")


def test_who_leaves_a_group_gets_nothing_from_it_with_the_next_look(
    settings: Settings, store: Store, server: Slapd
) -> None:
    write(settings, server)

    def entries(person: str) -> set[str]:
        with store.engine.connect() as connection:
            return {one.entry for one in resolve(connection, "acme", person, (), trusted=False).memberships}

    with Pipeline(settings) as pipeline, dg.DagsterInstance.ephemeral() as instance:
        cursor: str | None = None
        for change in (None, lambda: server.leave("staff", "cn=Engineers"), lambda: server.leave("circle", "uid=bo")):
            if change is not None:
                before = entries("cy"), entries("bo")
                change()
                assert (entries("cy"), entries("bo")) == before
            context = dg.build_sensor_context(instance, cursor=cursor, resources={PIPELINE: pipeline})
            assert isinstance(directory_files(context), dg.RunRequest)
            cursor = context.cursor
            assert dg.materialize([directories], resources={PIPELINE: pipeline}).success
            again = dg.build_sensor_context(instance, cursor=cursor, resources={PIPELINE: pipeline})
            assert isinstance(directory_files(again), dg.SkipReason)
            assert ("group:staff" in entries("cy")) is (change is None)
        assert "group:circle" not in entries("bo")
        assert {"corp/uid:1002", "corp/gid:200", "group:engineers"} <= entries("cy")


@pytest.mark.parametrize("server", [True], indirect=True)
def test_certificates_accounts_and_places_that_are_wrong_are_named(
    settings: Settings, server: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = {"host": "localhost", "port": server.tls_port, "security": "tls"}
    authority = {"ca_file": server.folder / "cert.pem"}
    for more in ({**tls, **authority}, {**authority, "host": "localhost", "security": "starttls"}):
        assert len(read_directory(write(settings, server, **more), settings).entries) == 8
    wrong: list[tuple[dict[str, object], str]] = [
        (tls, "ACCESS_REFUSED: .*certificate"),
        ({"base": "dc=elsewhere"}, "SOURCE_UNAVAILABLE"),
        ({"port": 1}, "SOURCE_UNAVAILABLE"),
        ({"host": "169.254.169.254", "security": "tls"}, "SSRF_BLOCKED"),
        ({"people": '"(broken"'}, "SOURCE_UNAVAILABLE"),
    ]
    for more, reason in wrong:
        with pytest.raises(RagError, match=reason):
            read_directory(write(settings, server, **more), settings)
    monkeypatch.setenv("RAG_SECRET_LDAP", "another-one")
    with pytest.raises(RagError, match="ACCESS_REFUSED") as caught:
        read_directory(write(settings, server), settings)
    assert "another-one" not in str(caught.value)
