"""What a source reads, and whether the allow-lists of a tenant name all of it.

A kind of source that is not described here reads what nobody knows, and is refused where allow-lists apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.s3.options import INSTANCE_SECRET, InstanceCredentials, S3Options
from rag_assets.connectors.sql.options import SqliteDatabase, SqlOptions
from rag_assets.connectors.web.options import WebOptions
from rag_assets.source_config import SourceConfig
from rag_core.errors import PermissionDenied, Reason
from rag_core.settings import SourceAllowance
from rag_core.sources import SecretRef


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that a source opens: files and folders of this machine, hosts, and secrets (`env:…`, `file:…`,
    `instance:aws`)."""

    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]


def reach_of(config: SourceConfig) -> Reach:
    """What the source opens. Raises `PermissionDenied` (`SOURCE_NOT_ALLOWED`) for a kind that is not described."""
    options = config.options
    describe = _KINDS.get(type(options))
    if describe is None:
        raise _refused(f"sources of kind {options.kind} are added by a platform administrator")
    paths, hosts = describe(options)
    secrets = [_name_of(secret) for secret in _secrets(options)]
    if isinstance(getattr(options, "credentials", None), InstanceCredentials):
        secrets.append(INSTANCE_SECRET)  # what the platform's own role may read is nobody's by default
    return Reach(*(tuple(dict.fromkeys(names)) for names in (paths, hosts, secrets)))


def require_allowed(config: SourceConfig, tenant: str, allowance: SourceAllowance | None) -> None:
    """Raise `PermissionDenied` (`SOURCE_NOT_ALLOWED`) unless the tenant's lists name all that the source opens."""
    if config.tenant != tenant:
        raise _refused("tenant: a source of your own tenant only")
    if allowance is None:
        raise _refused("your tenant has no allow-lists (RAG_SOURCE_ALLOWANCES); a platform administrator adds sources")
    reach = reach_of(config)
    for path in reach.paths:
        if not any(_is_below(path, root) for root in allowance.roots):
            raise _refused(f"{path} is not below a folder that your tenant may read ({_listed(allowance.roots)})")
    for host in reach.hosts:
        if not any(_host_fits(host, pattern) for pattern in allowance.hosts):
            raise _refused(f"{host} is not a host that your tenant may reach ({_listed(allowance.hosts)})")
    for secret in reach.secrets:
        if not any(_secret_fits(secret, pattern) for pattern in allowance.secrets):
            raise _refused(f"{secret} is not a secret that your tenant may use ({_listed(allowance.secrets)})")


def _is_below(path: str, root: str) -> bool:
    # Links are followed on both sides: a link inside an allowed folder must not lead out of it.
    return Path(path).resolve().is_relative_to(Path(root).resolve())


def _host_fits(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def _secret_fits(secret: str, pattern: str) -> bool:
    if secret.startswith("file:"):
        real = f"file:{Path(secret.removeprefix('file:')).resolve()}"
        return _matches(secret, pattern) and _matches(real, _resolved(pattern))
    return _matches(secret, pattern)


def _matches(secret: str, pattern: str) -> bool:
    return secret.startswith(pattern[:-1]) if pattern.endswith("*") else secret == pattern


def _resolved(pattern: str) -> str:
    """The pattern with the links of its folder followed, so that it can be compared with a real path."""
    if not pattern.startswith("file:"):
        return pattern
    folder, slash, name = pattern.removeprefix("file:").rpartition("/")
    return f"file:{Path(folder or '/').resolve()}{slash}{name}".replace("//", "/")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _refused(message: str) -> PermissionDenied:
    return PermissionDenied(Reason.SOURCE_NOT_ALLOWED, message)


# --------------------------------------------------------------------------------------------------------------------
# What each kind opens: paths, then hosts.

_Described = tuple[list[str], list[str]]


def _filesystem(options: FilesystemOptions) -> _Described:
    return [options.root], []


def _sql(options: SqlOptions) -> _Described:
    database = options.database
    if isinstance(database, SqliteDatabase):
        return [database.path], []
    return [database.ca_file] if database.ca_file else [], [database.host.lower()]


def _http_api(options: HttpApiOptions) -> _Described:
    urls = [options.url, *([options.detail.url] if options.detail else [])]
    return [], [*map(_host, urls), *_token_hosts(options.auth)]


def _web(options: WebOptions) -> _Described:
    named = [host.rpartition(":")[0] if ":" in host else host for host in options.hosts]
    return [], [*map(_host, [*options.seeds, *options.sitemaps]), *named]


def _kafka(options: KafkaOptions) -> _Described:
    security, registry = options.security, options.registry
    files = [security.ca_file, security.certificate_file, security.key_file, options.schema_file]
    hosts = [broker.rpartition(":")[0].lower() for broker in options.brokers.split(",")]
    if security.token_url:
        hosts.append(_host(security.token_url))
    if registry is not None:
        files.append(registry.ca_file)
        hosts += [_host(registry.url), *_token_hosts(registry.auth)]
    return [file for file in files if file], hosts


def _s3(options: S3Options) -> _Described:
    host = _host(options.endpoint) if options.endpoint else f"s3.{options.region}.amazonaws.com"
    by_path = options.endpoint is not None and options.path_style is not False
    events = [_host(options.events.queue_url)] if options.events else []
    return [], [host if by_path else f"{options.bucket.lower()}.{host}", *events]


def _git(options: GitOptions) -> _Described:
    if not options.is_remote:
        return [options.repository], []
    return [], [_host(options.repository), *_token_hosts(options.auth)]


_KINDS: dict[type[BaseModel], Callable[[Any], _Described]] = {
    FilesystemOptions: _filesystem,
    SqlOptions: _sql,
    HttpApiOptions: _http_api,
    WebOptions: _web,
    S3Options: _s3,
    GitOptions: _git,
    KafkaOptions: _kafka,
}


def _token_hosts(auth: Any) -> list[str]:
    url = getattr(auth, "token_url", None)
    return [_host(url)] if url else []


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


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
