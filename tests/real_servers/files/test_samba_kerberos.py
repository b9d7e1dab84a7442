"""Signing in to Samba by Kerberos, against a KDC: password, key and ticket, and what is said when they are no good."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK
from tests.support.kdc import KDC, REALM, Realm
from tests.support.samba import PASSWORD, Samba
from tests.support.waiting import eventually

pytest.importorskip("gssapi", reason="the extra smb-kerberos is built where it is wanted (libkrb5-dev)")
pytest.importorskip("krb5", reason="the extra smb-kerberos is built where it is wanted (libkrb5-dev)")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(KDC is None, reason="no krb5kdc (Debian's krb5-kdc), and RAG_TEST_KRB5KDC names none"),
]
SERVICE, USER = "cifs/localhost", "daemon"
Check = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    with tempfile.TemporaryDirectory(prefix="rag-kdc-") as folder:
        made = Realm(Path(folder))
        made.account(SERVICE)
        made.account(USER, "-pw", PASSWORD)
        yield made
        made.stop()


@pytest.fixture(scope="module")
def server(realm: Realm, start_samba: Callable[..., Any]) -> Iterator[Samba]:
    """A server that takes tickets."""
    more = f"""realm = {REALM}
  kerberos method = dedicated keytab
  dedicated keytab file = FILE:{realm.keytab(SERVICE)}"""
    with contextmanager(start_samba)("127.0.0.1", more=more) as made:
        made.write("a.txt", "The text.")
        yield made


@pytest.fixture
def check(realm: Realm, server: Samba, monkeypatch: pytest.MonkeyPatch) -> Check:
    for name, value in {**realm.environment, "RAG_SECRET_FILES": PASSWORD, "RAG_SECRET_OTHER": "other"}.items():
        monkeypatch.setenv(name, value)

    def check(kerberos: dict[str, str], **more: Any) -> dict[str, Any]:
        options = {"kind": "smb", "host": "localhost", "port": server.port, "share": "docs", "attempts": 1,
                   "user": f"{USER}@{REALM}", "kerberos": kerberos, **more}  # fmt: skip
        source = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})
        with open_connector(source, ConnectorContext(fetch_policy=LOOPBACK)) as connector:
            return connector.check()

    return check


def test_a_password_a_key_and_a_ticket_sign_in(realm: Realm, check: Check) -> None:
    key = realm.keytab(USER)
    for found in (
        check({}, password={"env": "RAG_SECRET_FILES"}),
        check({"keytab": key}),
        check({"ccache": realm.tickets(USER, key)}),
    ):
        assert (found["ok"], found["sample"]) == (True, ["a.txt"]), found


def test_what_gives_no_ticket_is_refused_by_name(realm: Realm, check: Check) -> None:
    key, none = realm.keytab(USER), {"env": "RAG_SECRET_OTHER"}
    found = [
        check({}, password=none),
        check({"keytab": realm.keytab(SERVICE)}),
        check({"keytab": f"{key}-none"}),
        check({"ccache": f"{key}-none"}),
        check({"keytab": key}, user=f"nobody@{REALM}"),
        check({"keytab": key}, host="127.0.0.1"),
    ]
    said = "ACCESS_REFUSED: Kerberos gives no ticket for cifs/HOST"
    assert [(one["ok"], str(one["error"]).partition(";")[0]) for one in found] == [(False, said)] * len(found)


def test_a_ticket_that_is_expired_is_named(realm: Realm, check: Check) -> None:
    tickets = realm.tickets(USER, realm.keytab(USER), "1s")
    assert eventually(lambda: not realm.is_valid(tickets))
    assert check({"ccache": tickets})["error"].startswith("ACCESS_REFUSED: the account's ticket, key or password of")


def test_a_realm_that_is_away_may_come_back(realm: Realm, check: Check) -> None:
    key = realm.keytab(USER)
    realm.stop()
    try:
        assert check({"keytab": key})["error"].startswith("SOURCE_UNAVAILABLE: no server of the realm gives tickets")
    finally:
        realm.start()
    assert eventually(lambda: check({"keytab": key})["ok"])


def test_a_ticket_for_another_key_of_the_server_is_refused(realm: Realm, check: Check) -> None:
    realm.change_key(SERVICE)  # which the server has not been told
    assert check({"keytab": realm.keytab(USER)})["error"].startswith(
        "ACCESS_REFUSED: the server does not let the account"
    )
