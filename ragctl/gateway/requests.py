"""Checks of a request at the gateway: it is complete, and its API key is not guessed.

A query server begins with a call when its headers arrive, and the gateway counts it among the searches in flight until
it ends. So bodies are collected here first, within a time of their own, and calls with an API key, which only a server
can verify, are not counted among the searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rag_core.content.documents import RESERVED_FIELDS
from ragctl.gateway.api import api_methods, message_fields
from ragctl.gateway.options import Config, GatewayOptions, any_of, extension

BUFFER = "envoy.filters.http.buffer"
CHECK = "rag.requests"
_RESERVED = frozenset({"generation", "groups", "index", "index_version", "score", "scopes", "subject"})
"""Further names that only the server decides about."""
_LUA = "extensions.filters.http.lua.v3"


def key_guard(options: GatewayOptions) -> list[Config]:
    """The filter that counts refused API keys by address; none when the limit is off."""
    limits = options.limits
    if not limits.refused_keys_per_minute:
        return []
    free = ", ".join(f'["{address}"] = true' for address in limits.free_addresses)
    known = f"local LIMIT, ENTRIES, FREE = {limits.refused_keys_per_minute}, {limits.clients}, {{ {free} }}"
    return [_script("rag.keys", known, "keys.lua")]


def complete_requests(options: GatewayOptions) -> list[Config]:
    """The filters that hold a request back until it is whole, and check it where its route asks for that."""
    collect = extension(BUFFER, "extensions.filters.http.buffer.v3.Buffer", max_request_bytes=options.max_request_bytes)
    return [collect, {**_script(CHECK, _known_fields(options), "requests.lua"), "disabled": True}]


def one_message() -> Config:
    """The filter settings of routes whose request is one gRPC message."""
    return message_body("grpc")


def message_body(name: str) -> Config:
    """The filter settings of routes whose body is JSON of this message."""
    return {CHECK: any_of(f"{_LUA}.LuaPerRoute", filter_context={"message": name})}


def open_ended() -> Config:
    """The filter settings of routes whose requests are streams."""
    return {BUFFER: any_of("extensions.filters.http.buffer.v3.BufferPerRoute", disabled=True)}


def _known_fields(options: GatewayOptions) -> str:
    """The tables that the check of JSON bodies reads: what the messages of REST requests hold, at any depth."""
    fields = message_fields(options.descriptors)
    methods = api_methods(options.descriptors, admin=True)
    pending = {binding.message for method in methods for binding in method.rest if binding.message}
    reached: dict[str, dict[str, str]] = {}
    while pending:
        name = pending.pop()
        reached[name] = fields[name]
        pending |= {inner for inner in fields[name].values() if inner in fields and inner not in reached}
    messages = {
        name: {field: f'"{inner}"' if inner in reached else "true" for field, inner in inside.items()}
        for name, inside in sorted(reached.items())
    }
    reserved = dict.fromkeys(sorted(RESERVED_FIELDS | _RESERVED), "true")
    tables = ",\n".join(f'["{name}"] = {_table(inside)}' for name, inside in messages.items())
    return f"local MESSAGES = {{\n{tables}\n}}\nlocal RESERVED = {_table(reserved)}"


def _table(entries: Mapping[str, str]) -> str:
    listed = ", ".join(f'["{name}"] = {value}' for name, value in entries.items())
    return f"{{ {listed} }}"


def _script(name: str, prefix: str, file: str) -> Config:
    text = Path(__file__).with_name(file).read_text("utf-8")
    return extension(name, f"{_LUA}.Lua", default_source_code={"inline_string": f"{prefix}\n{text}".lstrip()})
