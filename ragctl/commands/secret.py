"""`rag secret`: credentials of sources, and secrets of the local stack that are not keys of tokens (`rag token`) or
clients (`rag key`)."""

from __future__ import annotations

import sys
from getpass import getpass
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from rag_core.content import sources
from rag_core.errors import ConfigError, Reason
from rag_core.governance import access
from ragctl.output import Json, emit, emit_json, say, table

if TYPE_CHECKING:
    from pathlib import Path

    from ragctl.local_stack.data_dir import DataDir

app = App(
    name="secret",
    help="Credentials of sources: set, list, remove. Secrets of the stack: rotate, retire, hash.",
    help_format="plaintext",
)
Sealing = Literal["sources", "second-factor"]
"""Keys that seal what is stored. Those who use them read the file each time: no start is needed."""
Name = Literal["index", "page-token", "hash", Sealing]


@app.command(name="set")
def set_(name: str, /, *, json: Json = False) -> None:
    """Store a credential for sources; the next run, check or preview uses it. Asks for it, or reads standard input.

    It is an encrypted file below RAG_HOME, never shown again nor in the database; in a cluster use its Secret.

    Example: rag secret set shop-password < password.txt

    Parameters
    ----------
    name
        shop-password is RAG_SECRET_SHOP_PASSWORD in source files and in the console's forms.
    """
    known = sources.full_name(name)
    sources.store_secret(known, _typed(known))
    emit({"stored": known}, f"{known} is stored; a source names it as `env: {known}`", json=json)


def _typed(name: str) -> str:
    """The value: a terminal is asked without showing what is typed."""
    return (getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read()).rstrip("\r\n")


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the names of the stored credentials, never their values.

    Example: rag secret list
    """
    names = sources.stored_names()
    emit_json(names) if json else table(("secret",), [(name,) for name in names], empty="no secret is stored")


@app.command
def remove(name: str, /, *, json: Json = False) -> None:
    """Remove a stored credential: sources that name it cannot be read from then on.

    Example: rag secret remove shop-password
    """
    known = sources.full_name(name)
    sources.remove_secret(known)
    emit({"removed": known}, f"{known} is removed", json=json)


@app.command
def rotate(name: Name, /, *, json: Json = False) -> None:
    """Create a new secret; the old one stays accepted until `rag secret retire`. The next `rag up` applies it.

    Example: rag secret rotate page-token && rag up

    Parameters
    ----------
    name
        index guards the index process; page-token signs page and resume tokens; hash keys the hashes in logs; sources
        seals the credentials of `rag secret set`, second-factor those of accounts. The last two apply at once.
    """
    if name == "sources" or name == "second-factor":
        _say_resealed(name, _rotate_key(name), done="rotated", json=json)
        return
    from ragctl.local_stack.environment import rotate_secret

    rotate_secret(_home(), _setting(name))
    emit({"rotated": name}, f"{name}: a new secret, the old one is accepted; now run `rag up`", json=json)


@app.command
def retire(name: Name, /, *, json: Json = False) -> None:
    """Stop accepting old secrets from the next `rag up` on. Page and resume tokens live 15 minutes.

    Example: rag secret retire page-token && rag up
    """
    if name == "sources" or name == "second-factor":
        _say_resealed(name, _retire_key(name), done="retired", json=json)
        return
    from ragctl.local_stack.environment import retire_secret

    retire_secret(_home(), _setting(name))
    emit({"retired": name}, f"{name}: only the secret in use is accepted after `rag up`", json=json)


@app.command(name="hash")
def hash_(tenant: str, /, *, subject: str | None = None, json: Json = False) -> None:
    """Print the hash that replaces a tenant, or one of its subjects, in logs and metrics.

    Example: rag secret hash acme
    """
    from rag_core.settings import Settings

    keys = Settings.load().rotating("hash_secret")
    if not keys:
        raise ConfigError(Reason.SECRET_MISSING, "RAG_HASH_SECRET is not set: run `rag up` first")
    hashes = access.NameHash(keys)
    text = hashes.tenant(tenant) if subject is None else hashes.subject(tenant, subject)
    emit({"tenant": tenant, "subject": subject, "hash": text}, text, json=json)


def _rotate_key(name: Sealing) -> list[str]:
    from rag_core.sealing import SealingKey

    path = _sealing_key(name)
    SealingKey.rotated(path)
    return _reseal(name, path)


def _retire_key(name: Sealing) -> list[str]:
    from rag_core.sealing import SealingKey

    path = _sealing_key(name)
    unreadable = _reseal(name, path)  # also what was sealed meanwhile by a process that had read the old key
    SealingKey.retire(path)
    return unreadable


def _sealing_key(name: Sealing) -> Path:
    """Raises `ConfigError` (`SECRET_MISSING`)."""
    from rag_core.sealing import SealingKey
    from rag_core.settings import Settings
    from ragctl.tokens import second_factor_key_path

    path = sources.sealing_key_path() if name == "sources" else second_factor_key_path(Settings.load())
    try:
        SealingKey(path)
    except (OSError, ValueError):
        message = f"RAG_HOME has no key of {name} ({path.name}): nothing was sealed, or `rag restore` brings it back"
        raise ConfigError(Reason.SECRET_MISSING, message) from None
    return path


def _reseal(name: Sealing, path: Path) -> list[str]:
    from rag_core.sealing import SealingKey
    from ragctl.commands._shared import actor, transaction

    if name == "sources":
        return sources.reseal_secrets()
    with transaction() as connection:
        return access.reseal_second_factors(connection, SealingKey(path), actor=actor())


def _say_resealed(name: Sealing, unreadable: list[str], *, done: str, json: bool) -> None:
    if json:
        emit_json({done: name, "unreadable": unreadable})
        return
    then = "the old key still opens" if done == "rotated" else "only the new key opens"
    say(f"{name}: everything is sealed by the new key; {then}")
    if unreadable:
        say(f"No key opens these, set them again: {', '.join(unreadable)}")


def _home() -> DataDir:
    from rag_core.settings import Settings
    from ragctl.local_stack.data_dir import DataDir

    return DataDir.of(Settings.load())


def _setting(name: Name) -> str:
    return f"RAG_{name.upper().replace('-', '_')}_SECRET"
