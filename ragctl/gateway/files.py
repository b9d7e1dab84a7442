"""Locations of Envoy's configuration: watched files, or one bootstrap file.

`Inline` puts everything into one file, which `envoy --mode validate` can check; `Watched` refers to files in a folder,
which Envoy reloads when they are replaced by rename. Both are made by the same code from the same options.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from ragctl.gateway.options import Config, any_of

JWT_FILTER = "envoy.filters.http.jwt_authn"
_JWT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"


class Sources(Protocol):
    """References to the resources that may change while Envoy runs."""

    def endpoints(self, name: str, assignment: Config) -> Config:
        """The fields of a cluster that say who its members are."""

    def routes(self, config: Config) -> Config:
        """The fields of the connection manager that say where its routes are."""

    def keys(self, config: Config) -> Config:
        """The HTTP filter that verifies tokens, given its configuration."""

    def certificates(self, config: Config) -> Config:
        """The fields of a TLS context that say where its certificate is."""


class Inline:
    """Everything in one file."""

    def endpoints(self, name: str, assignment: Config) -> Config:
        return {"type": "STATIC", "load_assignment": assignment}

    def routes(self, config: Config) -> Config:
        return {"route_config": config}

    def keys(self, config: Config) -> Config:
        return {"name": JWT_FILTER, "typed_config": config}

    def certificates(self, config: Config) -> Config:
        return {"tls_certificates": [config]}


@dataclass(frozen=True, slots=True)
class Watched:
    """Files in a folder."""

    folder: Path

    def endpoints(self, name: str, assignment: Config) -> Config:
        return {"type": "EDS", "eds_cluster_config": {"eds_config": self.source(f"eds-{name}")}}

    def routes(self, config: Config) -> Config:
        return {"rds": {"route_config_name": config["name"], "config_source": self.source("rds")}}

    def keys(self, config: Config) -> Config:
        discovery = {"config_source": self.source("ecds"), "type_urls": [_JWT_TYPE]}
        return {"name": JWT_FILTER, "config_discovery": discovery}

    def certificates(self, config: Config) -> Config:
        return {"tls_certificate_sds_secret_configs": [{"name": "gateway", "sds_config": self.source("sds")}]}

    def source(self, name: str) -> Config:
        """A configuration source: one file, and the folder in which its replacement shows up."""
        return {
            "path_config_source": {
                "path": str(self.folder / f"{name}.yaml"),
                "watched_directory": {"path": str(self.folder)},
            },
            "resource_api_version": "V3",
        }


def resource(type_name: str, config: Config) -> Config:
    """One discovery file with one resource."""
    return resources(type_name, [config])


def resources(type_name: str, configs: list[Config]) -> Config:
    """One discovery file."""
    return {"resources": [any_of(type_name, **config) for config in configs]}


class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # ten times as fast, where it is
    """Without anchors: equal parts are written out."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(config: Config) -> str:
    """The configuration as YAML, the same for equal input."""
    return yaml.dump(config, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
