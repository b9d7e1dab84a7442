"""People and groups of an LDAP server, by ldap3, which is imported when a directory is read."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

from rag_assets.connectors.files.descriptors import sid_text
from rag_assets.connectors.servers import checked_addresses, first_answering
from rag_assets.directories.ldap_options import LdapDirectory
from rag_core.errors import ConfigError, InvalidInput, Reason, Unavailable
from rag_core.governance.directories import DirectoryEntry, normal_name
from rag_core.http_client import OwnParts
from rag_core.ids import fingerprint
from rag_core.logging import get_logger
from rag_core.packages import package_missing
from rag_core.settings import Settings

log = get_logger(__name__)
MAX_ENTRIES: Final = 200_000
_PAGE: Final = 500
_DISABLED: Final = 0x2
"""The bit of userAccountControl of an account that is disabled."""
_LOCKED: Final = "000001010000Z"
"""The time of pwdAccountLockedTime of an account that an administrator locked."""
_ATTRIBUTES: Final = (
    "cn", "mail", "proxyAddresses", "userPrincipalName", "uid", "sAMAccountName", "uidNumber", "gidNumber", "objectSid",
    "member", "uniqueMember", "memberUid", "primaryGroupID", "userAccountControl", "pwdAccountLockedTime",
)  # fmt: skip


def ldap_entries(directory: LdapDirectory, settings: Settings) -> list[DirectoryEntry]:
    """Read every person and group, groups within groups as members.

    A name that two of them have is nobody's. Raises `Unavailable` (`ACCESS_REFUSED`, `SOURCE_UNAVAILABLE`),
    `InvalidInput` (`SSRF_BLOCKED`, `VALUE_INVALID`) and `ConfigError` (`SECRET_MISSING`, `PACKAGE_MISSING`).
    """
    with _connected(directory, settings) as connection:
        people, groups = (list(_search(connection, directory, one)) for one in directory.filters)
    return _without_shared_names(_entries(directory, people, groups))


def ldap_tag(directory: LdapDirectory, settings: Settings) -> str:
    """Return a value that changes when people or groups do: the server's own where it has one. Raises as
    `ldap_entries`."""
    with _connected(directory, settings) as connection:
        connection.search("", "(objectClass=*)", "BASE", attributes=["*", "+"])
        root = connection.response[0]["attributes"] if connection.response else {}
        if directory.schema_ == "active_directory" and root.get("highestCommittedUSN"):
            return fingerprint(str(root.get("dnsHostName")), str(root["highestCommittedUSN"]))
        connection.search(directory.base, "(objectClass=*)", "BASE", attributes=["contextCSN"])
        if connection.response and (state := connection.response[0]["attributes"].get("contextCSN")):
            return fingerprint(*sorted(map(str, state)))
        rows = (_search(connection, directory, one) for one in directory.filters)
        return fingerprint(*sorted(repr(sorted(one.raw.items())) for found in rows for one in found))


@dataclass(frozen=True, slots=True)
class _Found:
    dn: str
    raw: dict[str, list[bytes]]

    def all(self, name: str) -> list[str]:
        """The values of an attribute as text."""
        return [value.decode("utf-8", "replace") for value in self.raw.get(name.lower(), ())]

    def first(self, name: str) -> str:
        """The first value of an attribute; empty when there is none."""
        return next(iter(self.all(name)), "")

    @property
    def sid(self) -> str:
        """The security identifier, as `S-1-5-21-…`; empty when there is none."""
        return sid_text(next(iter(self.raw.get("objectsid", ())), b""))

    @property
    def mails(self) -> list[str]:
        """Every mail address."""
        proxies = (one[5:] for one in self.all("proxyAddresses") if one[:5].lower() == "smtp:")
        return [*self.all("mail"), *proxies, *(one for one in self.all("userPrincipalName") if "@" in one)]

    @property
    def is_active(self) -> bool:
        control = self.first("userAccountControl")
        disabled = control.lstrip("-").isdigit() and int(control) & _DISABLED
        return not disabled and self.first("pwdAccountLockedTime") != _LOCKED


def _entries(directory: LdapDirectory, people: list[_Found], groups: list[_Found]) -> list[DirectoryEntry]:
    subject = directory.subject or directory.login_attribute
    named = [(f"user:{name}", one) for one in people if (name := one.first(subject))]
    grouped = [(f"group:{name}", one) for one in groups if (name := one.first(directory.group_name))]
    by_dn = {_plain_dn(one.dn): entry for entry, one in (*named, *grouped)}
    by_login = {one.first(directory.login_attribute): entry for entry, one in named}
    primary: dict[str, list[str]] = {}
    for entry, one in named:
        domain = one.sid.rpartition("-")[0]
        for key in (f"gid:{one.first('gidNumber')}", f"sid:{domain}-{one.first('primaryGroupID')}"):
            primary.setdefault(key, []).append(entry)
    found = [DirectoryEntry(entry, _names(directory, one, "uid"), active=one.is_active) for entry, one in named]
    for entry, one in grouped:
        names = _names(directory, one, "gid")
        members = [by_dn.get(_plain_dn(dn)) for name in ("member", "uniqueMember") for dn in one.all(name)]
        members += [by_login.get(login) for login in one.all("memberUid")]
        members += [person for name in names for person in primary.get(name, ())]
        found.append(DirectoryEntry(entry, names, tuple(sorted({*filter(None, members)}))))
    return found


def _names(directory: LdapDirectory, one: _Found, number: str) -> tuple[str, ...]:
    """Return the names by which sources call a person or group: numbers, SID, mail addresses, login."""
    login = one.first(directory.login_attribute) if number == "uid" else ""
    numbers = one.first("uidNumber" if number == "uid" else "gidNumber")
    group = one.first("cn") if number == "gid" else ""
    said = ((number, numbers), ("sid", one.sid), ("login", login), ("group", group), *(("email", m) for m in one.mails))
    return tuple(dict.fromkeys(normal_name(f"{kind}:{value}") for kind, value in said if value))


def _without_shared_names(entries: list[DirectoryEntry]) -> list[DirectoryEntry]:
    counted = Counter(name for one in entries for name in one.names)
    shared = {name for name, times in counted.items() if times > 1}
    if shared:
        log.warning("directory_names_shared", names=len(shared))
    return [replace(one, names=tuple(name for name in one.names if name not in shared)) for one in entries]


def _plain_dn(dn: str) -> str:
    """A distinguished name as it is compared: without case and spaces around its parts."""
    return ",".join("=".join(map(str.strip, part.split("=", 1))) for part in dn.split(",")).lower()


def _search(connection: Any, directory: LdapDirectory, text: str) -> Iterator[_Found]:
    attributes = {*_ATTRIBUTES, directory.login_attribute, directory.group_name, directory.subject or "cn"}
    rows = connection.extend.standard.paged_search(
        directory.base, text, attributes=sorted(attributes), paged_size=_PAGE, generator=True
    )
    for number, row in enumerate(row for row in rows if row["type"] == "searchResEntry"):
        if number >= MAX_ENTRIES:
            raise InvalidInput(Reason.VALUE_INVALID, f"more than {MAX_ENTRIES} entries; name a narrower base or filter")
        raw: Mapping[str, list[bytes]] = row["raw_attributes"]
        yield _Found(row["dn"], {name.lower(): list(values) for name, values in raw.items()})


@contextmanager
def _connected(directory: LdapDirectory, settings: Settings) -> Iterator[Any]:
    """A connection that is signed in, at a checked address; referrals to other servers are not followed."""
    try:
        import ldap3
        from ldap3.core import exceptions as errors
    except ImportError:
        raise package_missing("ldap3") from None
    connection = None
    try:
        addresses = checked_addresses(*directory.endpoint, OwnParts.from_settings(settings), what="server")
        connection = first_answering(addresses, partial(_open, ldap3, directory), errors.LDAPSocketOpenError)
        yield connection
    except errors.LDAPException as error:
        raise _explained(error, errors) from None
    finally:
        if connection is not None:
            _close(connection)


def _open(ldap3: Any, directory: LdapDirectory, address: str) -> Any:
    host, port = directory.endpoint
    if directory.security == "none" and not ip_address(address).is_loopback:
        message = "security: `none` is allowed on loopback only; use `tls` or `starttls`"
        raise ConfigError(Reason.CONFIG_INVALID, message)
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=directory.ca_file, valid_names=[host], sni=host)
    server = partial(ldap3.Server, address, port, tls=tls, connect_timeout=directory.timeout_seconds)
    connection = ldap3.Connection(
        server(use_ssl=directory.security == "tls", get_info=ldap3.NONE),
        directory.bind_dn,
        directory.password.read().get_secret_value(),
        receive_timeout=int(directory.timeout_seconds),
        auto_referrals=False,
        read_only=True,
        raise_exceptions=True,
        check_names=False,
    )
    try:
        connection.open()
        if directory.security == "starttls":
            connection.start_tls()
        connection.bind()
    except BaseException:
        _close(connection)
        raise
    return connection


def _close(connection: Any) -> None:
    """Close a connection, also one that was not made, whose socket the library leaves open."""
    opened = connection.socket
    with suppress(Exception):
        connection.unbind()
    if opened is not None:
        opened.close()


def _explained(error: Exception, errors: Any) -> Unavailable:
    refused = (
        errors.LDAPInvalidCredentialsResult,
        errors.LDAPInsufficientAccessRightsResult,
        errors.LDAPInappropriateAuthenticationResult,
        errors.LDAPPasswordIsMandatoryError,
    )
    if isinstance(error, refused):
        return Unavailable(Reason.ACCESS_REFUSED, "the server does not let the account in; check bind_dn and password")
    if isinstance(error, errors.LDAPNoSuchObjectResult):
        return Unavailable(Reason.SOURCE_UNAVAILABLE, "the server does not have `base`, or the account may not see it")
    if "certificate" in str(error).lower():
        problem = "the server's certificate is not accepted; check `host` and `ca_file`"
        return Unavailable(Reason.ACCESS_REFUSED, problem)
    return Unavailable(Reason.SOURCE_UNAVAILABLE, f"the server does not answer as LDAP ({type(error).__name__})")
