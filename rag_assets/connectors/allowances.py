"""The reach of a source, checked against the allow-lists of a tenant when it is added and in every run.

Here names are compared. Where a name leads is compared where it is opened: paths by `PathRules`, hosts by
`FetchPolicy`, files of secrets by `SecretRef`. A kind of source that is not described here reads what nobody knows, and
is refused where allow-lists apply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.kafka.options import KafkaOptions
from rag_assets.connectors.s3.options import INSTANCE_SECRET, InstanceCredentials, S3Options
from rag_assets.connectors.sql.options import SQL_PORTS, SqliteDatabase, SqlOptions
from rag_assets.connectors.web.options import WebOptions
from rag_core.content.sources import SecretRef
from rag_core.errors import PermissionDenied, Reason
from rag_core.settings import Settings, SourceAllowance

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig

Endpoint = tuple[str, int | None]
_PORTS = {"http": 80, "https": 443}
_PLAIN_BUCKET = re.compile(r"[a-z0-9-]+")


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
    describe = _KINDS.get(type(options))
    if describe is None:
        raise _refused(f"sources of kind {options.kind} are added by a platform administrator")
    paths, endpoints = describe(options)
    secrets = [_name_of(secret) for secret in _secrets(options)]
    if isinstance(getattr(options, "credentials", None), InstanceCredentials):
        secrets.append(INSTANCE_SECRET)  # what the platform's own role may read is nobody's by default
    return Reach(tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(endpoints)), tuple(dict.fromkeys(secrets)))


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


# --------------------------------------------------------------------------------------------------------------------
# What each kind opens: paths, then hosts with their ports.

_Described = tuple[list[str], list[Endpoint]]


def _filesystem(options: FilesystemOptions) -> _Described:
    return [options.root], []


def _sql(options: SqlOptions) -> _Described:
    database = options.database
    if isinstance(database, SqliteDatabase):
        return [database.path], []
    port = database.port or SQL_PORTS[database.driver]
    return [database.ca_file] if database.ca_file else [], [(database.host.lower(), port)]


def _http_api(options: HttpApiOptions) -> _Described:
    urls = [options.url, *([options.detail.url] if options.detail else [])]
    return [], [*map(_endpoint, urls), *_token_hosts(options.auth)]


def _web(options: WebOptions) -> _Described:
    named: list[Endpoint] = [_split(host) for host in options.hosts]
    return [], [*map(_endpoint, [*options.seeds, *options.sitemaps]), *named]


def _kafka(options: KafkaOptions) -> _Described:
    security, registry = options.security, options.registry
    files = [security.ca_file, security.certificate_file, security.key_file, options.schema_file]
    hosts = broker_endpoints(options)
    if security.token_url:
        hosts.append(_endpoint(security.token_url))
    if registry is not None:
        files.append(registry.ca_file)
        hosts += [_endpoint(registry.url), *_token_hosts(registry.auth)]
    return [file for file in files if file], hosts


def _s3(options: S3Options) -> _Described:
    amazon = f"s3.{options.region}.amazonaws.com" + (".cn" if options.region.startswith("cn-") else "")
    host, port = _endpoint(options.endpoint) if options.endpoint else (amazon, _PORTS["https"])
    by_path = options.path_style
    if by_path is None:  # at Amazon botocore puts every bucket that its certificate covers into the host's name
        by_path = options.endpoint is not None or not _PLAIN_BUCKET.fullmatch(options.bucket)
    events = [_endpoint(options.events.queue_url)] if options.events else []
    return [], [(host if by_path else f"{options.bucket.lower()}.{host}", port), *events]


def _git(options: GitOptions) -> _Described:
    if not options.is_remote:
        return [options.repository], []
    return [], [_endpoint(options.repository), *_token_hosts(options.auth)]


_KINDS: dict[type[BaseModel], Callable[[Any], _Described]] = {
    FilesystemOptions: _filesystem,
    SqlOptions: _sql,
    HttpApiOptions: _http_api,
    WebOptions: _web,
    S3Options: _s3,
    GitOptions: _git,
    KafkaOptions: _kafka,
}


def broker_endpoints(options: KafkaOptions) -> list[Endpoint]:
    """The brokers that a topic's file names; those that the cluster names in turn are not known here."""
    return [_split(broker.lower()) for broker in options.brokers.split(",")]


def _split(named: str) -> Endpoint:
    host, _, port = named.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (named, None)


def _token_hosts(auth: Any) -> list[Endpoint]:
    url = getattr(auth, "token_url", None)
    return [_endpoint(url)] if url else []


def _endpoint(url: str) -> Endpoint:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


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
