"""IMAP sources against Dovecot: the contract of connectors, access control lists, and mailboxes that are made again."""

from __future__ import annotations

import getpass
import imaplib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from imapclient import imap_utf7

from benchmarks.ports import free_port
from rag_assets.connectors.fields import NOBODY
from rag_assets.testing import ConnectorSuite
from rag_core.content.sources import Problem, SourceItem, TransientMemory
from tests.support.waiting import eventually
from tests.unit.rag_assets.stream_worker.test_listed_sources import Installation

DOVECOT = os.environ.get("RAG_TEST_DOVECOT") or shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(DOVECOT is None, reason="no dovecot (Debian's dovecot-imapd), and RAG_TEST_DOVECOT names none"),
]
PASSWORD = "s3cret"


class Dovecot:
    """Dovecot for its accounts `ann` and `reader`, run by the account of the tests; TLS by a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.tls_port = folder, free_port(), free_port()
        name, root = getpass.getuser(), os.getuid() == 0
        owner, group = ("nobody", "nogroup") if root else (name, os.getgid())
        folder.chmod(0o711)  # the process that signs in has no rights
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "users").write_text("".join(f"{one}:{{PLAIN}}{PASSWORD}::::::\n" for one in ("ann", "reader")))
        (folder / "dovecot.conf").write_text(f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
default_internal_user = {name}
default_login_user = {owner}
default_internal_group = {"root" if root else group}
mail_uid = {owner}
mail_gid = {group}
first_valid_uid = 1
mail_home = {folder}/home/%u
mail_location = maildir:~/mail
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
mail_plugins = acl
protocol imap {{
  mail_plugins = acl imap_acl
}}
plugin {{
  acl = vfile
  acl_anyone = allow
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Trash {{
    special_use = \\Trash
  }}
}}
namespace public {{
  type = public
  separator = /
  prefix = Public/
  location = maildir:{folder}/public
  subscriptions = no
  list = yes
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {self.port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {self.tls_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
""")
        for name in ("public", "home"):
            (folder / name).mkdir()
            if root:
                shutil.chown(folder / name, owner, group)
        (folder / "public" / "dovecot-acl").write_text("user=ann lrwstipekxa\nuser=reader lra\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([str(DOVECOT), "-F", "-c", str(self.folder / "dovecot.conf")])
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.session("ann").logout()
            except (OSError, imaplib.IMAP4.error):
                continue
            return
        self.stop()
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def session(self, user: str) -> imaplib.IMAP4:
        found = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        found.login(user, PASSWORD)
        return found


class Mailboxes:
    """The mailboxes of `ann`, of which the suite fills the inbox."""

    def __init__(self, server: Dovecot) -> None:
        self.server, self.session = server, server.session("ann")
        self.options: dict[str, Any] = {
            "kind": "imap", "host": "127.0.0.1", "port": server.port, "security": "none", "user": "ann", "attempts": 1,
            "login": {"type": "password", "password": {"env": "RAG_SECRET_MAIL"}},
        }  # fmt: skip

    def put(self, name: str, text: str, mailbox: str = "INBOX") -> None:
        self.remove(name, mailbox)
        found = EmailMessage()
        found["Message-ID"], found["From"], found["Subject"] = f"<{name}>", "ann@acme.example", name
        found.set_content(text)
        self.append(found.as_bytes(), mailbox)

    def append(self, raw: bytes, mailbox: str = "INBOX") -> None:
        assert self.session.append(mailbox, "", imaplib.Time2Internaldate(time.time()), raw)[0] == "OK"

    def remove(self, name: str, mailbox: str = "INBOX") -> None:
        self.session.select(mailbox)
        for number in self.session.search(None, "HEADER", "Message-ID", f"<{name}>")[1][0].split():
            self.session.store(number, "+FLAGS", "\\Deleted")
        self.session.expunge()

    def lose(self) -> None:
        self.server.stop()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailboxes]:
    monkeypatch.setenv("RAG_SECRET_MAIL", PASSWORD)
    with tempfile.TemporaryDirectory(prefix="rag-mail-") as folder:
        server = Dovecot(Path(folder))
        place = Mailboxes(server)
        yield place
        place.session.shutdown()
        server.stop()


def test_messages_that_come_and_go_are_reported(installation: Installation, place: Mailboxes) -> None:
    place.session.create("Team")
    place.put("a", "The first text.")
    installation.configure("mail", options=place.options, sensor={"interval_seconds": 86_400})
    installation.run("mail")
    installation.start()
    for mailbox in ("INBOX", "Team"):
        place.put("b", "A second text.", mailbox)
        assert eventually(lambda: f"{mailbox}/b.eml" in installation.texts())  # noqa: B023 - called before the next turn
    place.remove("b", "Team")
    assert eventually(lambda: "Team/b.eml" not in installation.texts())
    place.session.shutdown()
    place.server.stop()
    place.server.start()
    place.session = place.server.session("ann")
    place.put("c", "Written after the server was away.")
    assert eventually(lambda: "INBOX/c.eml" in installation.texts())


class TestDovecot(ConnectorSuite):
    """The suite of every connector, and what mailboxes are."""

    def name_of(self, locator: str) -> str:
        return locator.removeprefix("INBOX/").removesuffix(".eml")

    def text_of(self, content: bytes) -> str:
        return content.decode().partition("\n\n")[2].strip()

    def entries(self, place: Mailboxes, memory: Any = None, **more: Any) -> list[SourceItem | Problem]:
        options, place.options = place.options, {**place.options, **more}
        with self.connect(place, memory) as connector:
            listing = connector.list_items()
            found = list(listing)
        place.options = options
        assert (listing.complete, listing.error) == (True, None)
        return found

    def test_attachments_odd_names_copies_and_mailboxes(self, place: Mailboxes) -> None:
        found = EmailMessage()
        found["Message-ID"], found["Subject"] = "<with/slash@acme>", "Pläne"
        found.set_content("See the file.")
        found.add_attachment(b"a;b\n1;2\n", maintype="text", subtype="csv", filename="größe & mehr/1.csv")
        found.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png", disposition="inline")
        place.append(found.as_bytes())
        place.append(found.as_bytes())  # a copy, and one that says another's name, are documents of their own
        place.append(b"Subject: none\r\n\r\nNo name.\r\n")
        for mailbox in (imap_utf7.encode("Projects/Übersicht & mehr").decode(), "Trash"):
            place.session.create(f'"{mailbox}"')
        place.put("in-trash", "Gone.", "Trash")
        locators = [entry.locator for entry in self.entries(place)]
        assert [one for one in locators if "slash" in one][:2] == [
            "INBOX/with_slash@acme.eml", "INBOX/with_slash@acme.eml/2 größe & mehr_1.csv"
        ]  # fmt: skip
        assert (len(locators), len(set(locators)), any("Trash" in one for one in locators)) == (5, 5, False)
        assert len(self.entries(place, attachments=False)) == 3
        assert len(self.entries(place, special=True)) == 6
        with self.connect(place) as connector:
            item = next(one for one in connector.list_items() if isinstance(one, SourceItem) and "1.csv" in one.locator)
            fetched = connector.fetch(item)
        assert (fetched.content, fetched.media_type, fetched.item) == (b"a;b\n1;2\n", "text/csv", fetched.item)
        assert (fetched.title, fetched.metadata["subject"]) == ("größe & mehr/1.csv (Pläne)", "Pläne")

    def test_a_mailbox_that_is_made_again_keeps_its_documents(self, place: Mailboxes) -> None:
        place.session.create("Team")
        place.put("a", "The text.", "Team")
        memory = TransientMemory()
        before = self.entries(place, memory)
        place.session.select("INBOX")
        place.session.delete("Team")
        place.session.create("Team")
        validity = re.search(rb"UIDVALIDITY (\d+)", place.session.status("Team", "(UIDVALIDITY)")[1][0])
        place.put("a", "The text.", "Team")
        after = self.entries(place, memory)
        assert validity is not None
        assert [entry.locator for entry in before] == [entry.locator for entry in after] == ["Team/a.eml"]
        assert before != after

    def test_readers_are_those_of_the_mailbox_and_change_with_it(self, place: Mailboxes) -> None:
        place.session.create("Public/Team")
        place.put("a", "The text.", "Public/Team")
        place.options |= {"user": "reader", "directory": "corp"}

        def readers() -> tuple[str, ...] | None:
            with self.connect(place) as connector:
                (item,) = (one for one in connector.list_items() if isinstance(one, SourceItem))
                return connector.fetch(item).acl

        place.session.setacl("Public/Team", "$staff", "lr")
        place.session.setacl("Public/Team", "bo@acme.example", "lr")
        place.session.setacl("Public/Team", "-cy", "r")
        tags = [self.state(place)]
        assert set(readers() or ()) >= {"corp/group:staff", "corp/email:bo@acme.example", "deny:corp/login:cy"}
        place.session.setacl("Public/Team", "$staff", "l")
        assert "corp/group:staff" not in (readers() or ())
        tags.append(self.state(place))
        assert tags[0] != tags[1]
        place.session.setacl("Public/Team", "anyone", "lr")
        assert "everyone" in (readers() or ())
        assert NOBODY not in (readers() or ())

    def test_certificates_are_checked(self, place: Mailboxes) -> None:
        place.put("a", "The text.")
        authority = {"ca_file": str(place.server.folder / "cert.pem")}
        place.options |= {"host": "localhost", "port": place.server.tls_port, "security": "tls"}
        for more, ok, problem in (({}, False, "certificate"), (authority, True, "")):
            place.options |= more
            with self.connect(place) as connector:
                found = connector.check()
            assert (found["ok"], problem in str(found["error"])) == (ok, True), found
        place.options |= {"port": place.server.port, "security": "starttls"}
        with self.connect(place) as connector:
            assert (found := connector.check())["ok"], found

    def test_a_wrong_password_is_refused_and_never_shown(
        self, place: Mailboxes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RAG_SECRET_MAIL", "another-one")
        with self.connect(place) as connector:
            found = connector.check()
        assert (found["ok"], found["error"].partition(":")[0]) == (False, "ACCESS_REFUSED")
        assert "another-one" not in found["error"]
