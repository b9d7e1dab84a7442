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
from typing import TYPE_CHECKING

from query_server.auth.policies import POLICIES, PUBLIC_SERVICES, ConcurrencyClass

if TYPE_CHECKING:
    from google.api.http_pb2 import HttpRule
    from google.protobuf.descriptor_pb2 import DescriptorProto

ADMIN_PACKAGE = "/ragproto.admin."
"""The operators' API; the gateway exposes it only when configured."""
_VARIABLE = re.compile(r"\{[^{}=]+(?:=([^{}]+))?\}")


@dataclass(frozen=True, slots=True)
class Rest:
    """One REST binding: verb, path, and the name of the message that its body holds, if any. `pattern` is a regular
    expression when the path holds variables."""

    verb: str
    path: str
    message: str = ""

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
    """The methods the gateway exposes, in the order of the descriptors; `ragproto.admin` only on request."""
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
                    searches = policy.concurrency is ConcurrencyClass.SEARCH and not policy.in_parts
                    bindings = tuple(_bindings(rule, method.input_type.lstrip(".")))
                    found.append(Method(path, name, policy.scope, policy.repeatable, searches, bindings))
    return tuple(found)


def public_services() -> tuple[str, ...]:
    """Services served without a token: health and reflection."""
    return tuple(sorted(PUBLIC_SERVICES))


@cache
def message_fields(descriptors: Path) -> dict[str, dict[str, str]]:
    """The fields of every message, by both of their JSON names: the name of a message, or nothing for other values."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    found: dict[str, dict[str, str]] = {}
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        if not file.package.startswith("google."):  # those have JSON forms of their own
            for message in file.message_type:
                _add_fields(found, file.package, message)
    return found


def _add_fields(found: dict[str, dict[str, str]], scope: str, message: DescriptorProto) -> None:
    name = f"{scope}.{message.name}"
    if not message.options.map_entry:  # a map takes any key
        found[name] = {
            json: field.type_name.lstrip(".") for field in message.field for json in (field.name, field.json_name)
        }
    for nested in message.nested_type:
        _add_fields(found, name, nested)


def _bindings(rule: HttpRule, message: str) -> Iterator[Rest]:
    verb = rule.WhichOneof("pattern")
    if verb is not None:
        # A body that is one field has the form of somebody else, and any name in it.
        yield Rest(verb.upper(), getattr(rule, verb), message if rule.body == "*" else "")
    for further in rule.additional_bindings:
        yield from _bindings(further, message)


def _piece(part: str) -> str:
    return {"**": ".+", "*": "[^/]+"}.get(part) or re.escape(part)
