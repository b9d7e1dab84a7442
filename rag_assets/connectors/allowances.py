"""The reach of a source, checked against the allow-lists of a tenant when it is added and in every run.

Here names are compared. Where a name leads is compared where it is opened: paths by `PathRules`, hosts by
`FetchPolicy`, files of secrets by `SecretRef`. A kind whose options do not say what they open reads what nobody knows,
and is refused where allow-lists apply.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from rag_assets.connectors.kind import Endpoint
from rag_core.content.sources import SecretRef
from rag_core.errors import PermissionDenied, Reason
from rag_core.settings import Settings, SourceAllowance

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig

_Named = TypeVar("_Named")


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that a source opens: files and folders of this machine, hosts with their ports, and secrets
    (`env:…`, `file:…`, `instance:aws`)."""

    paths: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    secrets: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(host for host, _ in self.endpoints))


def reach_of(config: SourceConfig) -> Reach:
    """Return what the source opens. Raises `PermissionDenied` (`SOURCE_NOT_ALLOWED`) for an unknown kind."""
    options = config.options
    opened = options.opened()
    if opened is None:
        raise _refused(f"sources of kind {options.kind} are added by a platform administrator")
    secrets = [*map(_name_of, _secrets(options)), *opened.credentials]
    return Reach(_once(opened.paths), _once(opened.endpoints), _once(secrets))


def _once(named: Iterable[_Named]) -> tuple[_Named, ...]:
    return tuple(dict.fromkeys(named))


def require_allowed(config: SourceConfig, tenant: str, allowance: SourceAllowance | None) -> None:
    """Raise `PermissionDenied` (`SOURCE_NOT_ALLOWED`) unless the tenant's lists name all that the source opens."""
    if config.tenant != tenant:
        raise _refused("tenant: a source of your own tenant only")
    if allowance is None:
        raise _refused("your tenant has no allow-lists (RAG_SOURCE_ALLOWANCES); a platform administrator adds sources")
    reach = reach_of(config)
    for path in reach.paths:
        if not allowance.names_path(Path(path).resolve()):
            raise _refused(f"{path} is not below a folder that your tenant may read ({_listed(allowance.roots)})")
    for host, port in reach.endpoints:
        if not allowance.names_host(host, port):
            shown = host if port is None else f"{host}:{port}"
            raise _refused(f"{shown} is not a host that your tenant may reach ({_listed(allowance.hosts)})")
    for secret in reach.secrets:
        if not _secret_fits(secret, allowance):
            raise _refused(f"{secret} is not a secret that your tenant may use ({_listed(allowance.secrets)})")


def limit_to_allowance(config: SourceConfig, settings: Settings) -> SourceAllowance | None:
    """Hold a source that an administrator of its tenant added to the tenant's allow-lists as they are now.

    Returns the lists, which its paths and hosts are compared with where they are opened; `None`: no list applies.
    Raises `PermissionDenied` (`SOURCE_NOT_ALLOWED`).
    """
    if not config.restricted:
        return None
    allowance = settings.source_allowances.get(config.tenant)
    require_allowed(config, config.tenant, allowance)
    assert allowance is not None  # noqa: S101 - it was refused
    for secret in _secrets(config.options):
        secret.limit(partial(_accept_secret, allowance))
    return allowance


def _accept_secret(allowance: SourceAllowance, resolved: Path) -> None:
    if not allowance.names_secret_file(resolved):
        raise _refused("the file of a secret leads to a place that your tenant may not use (RAG_SOURCE_ALLOWANCES)")


def _secret_fits(secret: str, allowance: SourceAllowance) -> bool:
    named = allowance.names_secret(secret)
    if secret.startswith("file:"):
        return named and allowance.names_secret_file(Path(secret.removeprefix("file:")).resolve())
    return named


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _refused(message: str) -> PermissionDenied:
    return PermissionDenied(Reason.SOURCE_NOT_ALLOWED, message)


def _secrets(value: Any) -> Iterator[SecretRef]:
    """Every reference to a secret, wherever it is among the options."""
    if isinstance(value, SecretRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)


def _name_of(secret: SecretRef) -> str:
    return f"env:{secret.env}" if secret.env is not None else f"file:{secret.file}"
