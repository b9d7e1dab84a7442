"""Every RPC of the public packages, found in the generated code, so that a new one is tested the day it is added."""

from __future__ import annotations

import importlib
import pkgutil

from google.protobuf.descriptor import MethodDescriptor

import ragproto

INTERNAL = {"ragproto.admin.v1.IndexService"}
"""Served on loopback only, behind the local secret."""


def public_methods() -> list[MethodDescriptor]:
    """All methods a client may reach."""
    found = []
    for module in pkgutil.walk_packages(ragproto.__path__, "ragproto."):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
            found += [m for service in services if service.full_name not in INTERNAL for m in service.methods]
    return found
