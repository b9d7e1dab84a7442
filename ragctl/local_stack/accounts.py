"""The first account of the console, and accounts of a release that kept them in a file."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rag_core.errors import ConfigError, Reason
from ragctl.tokens import DEFAULT_TENANT

if TYPE_CHECKING:
    from rag_core.governance.access import NewAccount
    from rag_core.settings import Settings

ACTOR = f"{DEFAULT_TENANT}/rag-up"


def prepare_accounts(settings: Settings, former: Path) -> str | None:
    """Take over the accounts of a file, else make the account `admin` when there is none; returns its password.

    The file is removed once its accounts are stored: an account that is removed later must not come back from it.
    Raises `ConfigError` when the file is damaged.
    """
    from rag_core.database import open_store
    from rag_core.governance.access import create_first_account, import_accounts

    rows = _read(former)
    with closing(open_store(settings)) as store, store.engine.begin() as connection:
        import_accounts(connection, rows, actor=ACTOR)
        password = create_first_account(connection, tenant=DEFAULT_TENANT, actor=ACTOR)
    former.unlink(missing_ok=True)
    former.with_suffix(".lock").unlink(missing_ok=True)
    return password


def _read(path: Path) -> list[tuple[NewAccount, bytes, bytes]]:
    try:
        items = json.loads(path.read_text("utf-8"))
        return [_account(item) for item in items]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigError(Reason.CONFIG_INVALID, f"{path.name} is damaged; remove it, then `rag up`") from None


def _account(item: dict[str, object]) -> tuple[NewAccount, bytes, bytes]:
    from rag_core.governance.access import FIRST_ACCOUNT, NewAccount, Role

    groups = tuple(str(group) for group in item.get("groups", ()))  # type: ignore[attr-defined]
    name, role = str(item["name"]), Role(str(item["role"]))
    # A file of a release without platform scopes: the account that `rag up` made keeps what it could do.
    platform = item.get("platform", name == FIRST_ACCOUNT and role is Role.ADMIN) is True
    account = NewAccount(name, role, str(item["tenant"]), groups, platform=platform)
    return account, base64.b64decode(str(item["salt"])), base64.b64decode(str(item["hash"]))
