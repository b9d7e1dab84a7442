"""`rag secret`: secrets of the local stack that are not keys of tokens (`rag token`) or clients (`rag key`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cyclopts import App

from ragctl.output import Json, emit_json, say

if TYPE_CHECKING:
    from ragctl.local_stack.data_dir import DataDir

app = App(name="secret", help="Secrets of the local stack: rotate, retire, hash.", help_format="plaintext")
Name = Literal["index", "page-token", "hash"]


@app.command
def rotate(name: Name, /, *, json: Json = False) -> None:
    """Create a new secret; the old one stays accepted until `rag secret retire`. The next `rag up` applies it.

    Example: rag secret rotate page-token && rag up

    Parameters
    ----------
    name
        index guards the index process; page-token signs page and resume tokens; hash keys the hashes in logs.
    """
    from ragctl.local_stack.environment import rotate_secret

    rotate_secret(_home(), _setting(name))
    emit_json({"rotated": name}) if json else say(f"{name}: a new secret, the old one is accepted; now run `rag up`")


@app.command
def retire(name: Name, /, *, json: Json = False) -> None:
    """Stop accepting old secrets from the next `rag up` on. Page and resume tokens live 15 minutes.

    Example: rag secret retire page-token && rag up
    """
    from ragctl.local_stack.environment import retire_secret

    retire_secret(_home(), _setting(name))
    emit_json({"retired": name}) if json else say(f"{name}: only the secret in use is accepted after `rag up`")


@app.command(name="hash")
def hash_(tenant: str, /, *, subject: str | None = None, json: Json = False) -> None:
    """Print the hash that replaces a tenant, or one of its subjects, in logs and metrics.

    Example: rag secret hash acme
    """
    from rag_core.errors import ConfigError, Reason
    from rag_core.governance.access import NameHash
    from rag_core.settings import Settings

    keys = Settings.load().rotating("hash_secret")
    if not keys:
        raise ConfigError(Reason.SECRET_MISSING, "RAG_HASH_SECRET is not set: run `rag up` first")
    hashes = NameHash(keys)
    text = hashes.tenant(tenant) if subject is None else hashes.subject(tenant, subject)
    emit_json({"tenant": tenant, "subject": subject, "hash": text}) if json else say(text)


def _home() -> DataDir:
    from rag_core.settings import Settings
    from ragctl.local_stack.data_dir import DataDir

    return DataDir.of(Settings.load())


def _setting(name: Name) -> str:
    return f"RAG_{name.upper().replace('-', '_')}_SECRET"
