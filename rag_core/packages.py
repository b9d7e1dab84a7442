"""Packages that are not installed: which extra of the platform brings one, and how to install it."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires

from rag_core.errors import ConfigError, Reason

DISTRIBUTION = "rag-platform"
EXTRAS = {
    "files": "reads files of SFTP and WebDAV servers",
    "imap": "reads mailboxes",
    "ldap": "reads people and groups of an LDAP server",
    "ocr": "reads scans and pictures by character recognition",
    "smb": "reads Windows shares with their permissions",
    "smb-kerberos": "signs in to Windows shares by Kerberos; built on the machine, against its libkrb5",
}
"""Purpose of each extra of the package; a test compares the names with pyproject.toml."""
REINSTALL = f"install `{DISTRIBUTION}` again (in a checkout: `make setup`)"
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


def package_missing(module: str) -> ConfigError:
    """Return the error for a module of a package that is not installed. It says what to install."""
    name = _canonical(module.partition(".")[0])
    for extra, requirement in extra_requirements():
        if _name_of(requirement) == name:
            command = f"uv pip install --python {sys.prefix} '{requirement}'"
            return _error(name, f"install `{DISTRIBUTION}[{extra}]`, or the package alone: `{command}`")
    return _error(name, f"this installation is incomplete: {REINSTALL}")


def missing_requirements() -> list[str]:
    """Return the packages that the platform needs and that are not installed."""
    needed = [text for text in _requirements() if _EXTRA.search(text) is None]
    return [name for name in map(_name_of, needed) if not _is_installed(name)]


def require_complete() -> None:
    """Raise `ConfigError` (`PACKAGE_MISSING`) when a package is not installed that `rag up` needs."""
    if missing := missing_requirements():
        raise _error(", ".join(missing), f"this installation is incomplete: {REINSTALL}")


def extra_requirements() -> list[tuple[str, str]]:
    """Return each extra with a requirement that it adds."""
    pairs = [(text.partition(";")[0].strip(), _EXTRA.search(text)) for text in _requirements()]
    return [(found[1], requirement) for requirement, found in pairs if found is not None]


def missing_extras() -> list[str]:
    """Return the extras of which a package is not installed."""
    return sorted({extra for extra, requirement in extra_requirements() if not _is_installed(_name_of(requirement))})


def _requirements() -> list[str]:
    try:
        return requires(DISTRIBUTION) or []
    except PackageNotFoundError:  # run from the files of a working copy
        return []


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _name_of(requirement: str) -> str:
    return _canonical(re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _error(names: str, remedy: str) -> ConfigError:
    return ConfigError(Reason.PACKAGE_MISSING, f"not installed: {names}; {remedy}")
