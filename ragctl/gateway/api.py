"""The public interface as data: every method a client may call, read from the descriptors and the policy table.

A method reaches the gateway's routes, rules and transcoder only when it has a policy, so one that was forgotten there
is 404 here and refused by the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from query_server.policies import POLICIES, PUBLIC_SERVICES, Gate

ADMIN_PACKAGE = "/ragproto.admin."
"""What operates the platform; the gateway carries it only when it is told to."""
_VARIABLE = re.compile(r"\{[^{}=]+(?:=([^{}]+))?\}")


@dataclass(frozen=True, slots=True)
class Rest:
    """One REST binding: verb and path. `pattern` is a regular expression when the path holds variables."""

    verb: str
    path: str

    @property
    def pattern(self) -> str | None:
        """The path as an RE2 expression that matches it whole; None for a plain path."""
        if "{" not in self.path:
            return None
        template = _VARIABLE.sub(lambda found: found.group(1) or "*", self.path)
        return "".join(_piece(part) for part in re.split(r"(\*\*|\*)", template))


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC: its gRPC path, the scope it needs, whether a second try is harmless, whether the server counts it among
    its searches, and its REST bindings."""

    path: str
    service: str
    scope: str
    repeatable: bool
    searches: bool
    rest: tuple[Rest, ...]


@cache
def api_methods(descriptors: Path, *, admin: bool = False) -> tuple[Method, ...]:
    """The methods the gateway exposes, in the order of the descriptors; those of `ragproto.admin` only when asked."""
    # Imported for its effect too: the HTTP annotations of the descriptors are read through it.
    from google.api import annotations_pb2
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    found = []
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        for service in file.service:
            name = f"{file.package}.{service.name}"
            for method in service.method:
                path = f"/{name}/{method.name}"
                policy = POLICIES.get(path)
                if policy is not None and (admin or not path.startswith(ADMIN_PACKAGE)):
                    rule = method.options.Extensions[annotations_pb2.http]
                    searches = policy.gate is Gate.SEARCH
                    bindings = tuple(_bindings(rule))
                    found.append(Method(path, name, policy.scope, policy.repeatable, searches, bindings))
    return tuple(found)


def public_services() -> tuple[str, ...]:
    """Services served without a token: health and reflection."""
    return tuple(sorted(PUBLIC_SERVICES))


def _bindings(rule: object) -> Iterator[Rest]:
    verb = rule.WhichOneof("pattern")  # type: ignore[attr-defined]
    if verb is not None:
        yield Rest(verb.upper(), getattr(rule, verb))
    for further in rule.additional_bindings:  # type: ignore[attr-defined]
        yield from _bindings(further)


def _piece(part: str) -> str:
    return {"**": ".+", "*": "[^/]+"}.get(part) or re.escape(part)
