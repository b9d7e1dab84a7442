"""Generate interfaces/openapi/openapi.json: the REST API as OpenAPI 3.1, from the .proto files and their annotations.

Run it after a change to a .proto file (`make generate`). With --check it compares instead.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto
from openapi_schemas import Schema, Types, component, enum_schema, field_schema, message_schema

from query_server.auth.policies import POLICIES

TARGET = Path(__file__).resolve().parent.parent / "interfaces" / "openapi" / "openapi.json"
_VARIABLE = re.compile(r"\{(\w+)\}")
_OLD = "query.v1"
_ERRORS = {
    "400": ("BadRequest", "The request must change: FIELD_INVALID, QUERY_EMPTY, PAGE_TOKEN_INVALID, STALE_VERSION, …"),
    "401": (
        "Unauthenticated",
        "No credentials, or they do not verify: TOKEN_MISSING, TOKEN_EXPIRED, API_KEY_INVALID, …",
    ),
    "403": ("PermissionDenied", "The credentials lack the scope of the method: SCOPE_MISSING."),
    "404": ("NotFound", "Absent, or not visible to the caller: SOURCE_NOT_FOUND, DOCUMENT_NOT_FOUND, …"),
    "408": ("RequestTimeout", "The request did not arrive in time: DEADLINE."),
    "413": ("TooLarge", "The body is larger than the gateway accepts: REQUEST_TOO_LARGE."),
    "429": ("TooManyRequests", "RATE_LIMITED, OVERLOADED, INBOX_FULL, …: wait for the seconds in Retry-After."),
    "503": ("Unavailable", "SERVER_UNAVAILABLE, INDEX_UNAVAILABLE, DATABASE_UNAVAILABLE, …: try again."),
    "504": ("DeadlineExceeded", "Not finished in time: DEADLINE."),
}


def document() -> Schema:
    """The description."""
    from generate_protos import SOURCES, image  # the compiler: what `make test` reads of this file does not need it

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "image.binpb"
        image(target, SOURCES)
        files = FileDescriptorSet.FromString(target.read_bytes())
    types = Types()
    for file in files.file:
        types.add(file)
    paths, sent, received, tags = {}, set[str](), set[str](), []
    for method, operation, verb, path, wanted, comment in _methods(files, types):
        paths.setdefault(path, {})[verb] = operation
        received.add(method.output_type)
        if wanted:
            sent.add(method.input_type)
        if comment not in tags:
            tags.append(comment)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "RAG platform",
            "version": "v2",
            "description": "Searches and answers from the documents that the caller may see, and documents that callers"
            " push. Tenant and permissions come from the token or the API key only. Every error has a stable reason"
            " code in `details[].reason`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The gateway that serves this description."}],
        "security": [{"token": []}, {"apiKey": []}],
        "tags": tags,
        "paths": {**paths, **_probes()},
        "components": {
            "schemas": _schemas(types, types.reachable(sent), types.reachable(received)),
            "responses": {name: _error(said) for name, said in _ERRORS.values()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _methods(files: FileDescriptorSet, types: Types) -> Iterator[tuple[Any, ...]]:
    for file in files.file:
        if not file.package.startswith("ragproto.") or ".admin." in file.package:
            continue
        said = {tuple(one.path): " ".join(one.leading_comments.split()) for one in file.source_code_info.location}
        for number, service in enumerate(file.service):
            package = file.package.removeprefix("ragproto.")
            tag = {"name": f"{package}.{service.name}", "description": said[6, number]}
            for index, method in enumerate(service.method):
                rule = method.options.Extensions[annotations_pb2.http]
                scope = POLICIES[f"/{file.package}.{service.name}/{method.name}"].scope
                comment = f"{said[6, number, 2, index]} Scope `{scope}`."
                for at, binding in enumerate([rule, *rule.additional_bindings]):
                    verb = binding.WhichOneof("pattern")
                    if verb is None:
                        continue
                    path = getattr(binding, verb)
                    name = f"{package}.{method.name}".replace(".", "_") + ("" if not at else f"_{verb}")
                    operation = _operation(types, method, path, binding.body)
                    head = {
                        "operationId": name,
                        "tags": [tag["name"]],
                        "summary": _first(comment),
                        "description": comment,
                    }
                    old = {"deprecated": True} if package == _OLD else {}
                    yield method, {**head, **old, **operation}, verb, path, binding.body == "*", tag


def _first(comment: str) -> str:
    """The first sentence, without its full stop."""
    return comment.partition(". ")[0].rstrip(".")


def _operation(types: Types, method: MethodDescriptorProto, path: str, body: str) -> Schema:
    message = types.messages[method.input_type]
    named = set(_VARIABLE.findall(path))
    parameters = []
    for one in message.field:
        inside = one.name in named
        if not inside and (body or types.is_map(one.type_name)):
            continue
        schema = field_schema(types, method.input_type, one)
        about = {"name": one.name, "in": "path" if inside else "query", "description": schema.pop("description", "")}
        parameters.append({**about, "required": True, "schema": schema} if inside else {**about, "schema": schema})
    operation: Schema = {"parameters": parameters} if parameters else {}
    if body:
        schema = {"$ref": f"#/components/schemas/{component(method.input_type)}"}
        if body != "*":  # one field is the whole of it
            schema = next(field_schema(types, method.input_type, one) for one in message.field if one.name == body)
        elif named:  # what the path says is no field of the body
            schema = message_schema(types, method.input_type, without=named, sent=True, received=False)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    answer = {"schema": {"$ref": f"#/components/schemas/{component(method.output_type)}"}}
    success: Schema = {"description": "The result.", "content": {"application/json": answer}}
    if method.server_streaming:
        said = "Server-sent events; the `data` of each is one such object. The last one is `final`."
        success = {"description": said, "content": {"text/event-stream": answer}}
    failed = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in _ERRORS.items()}
    operation["responses"] = {"200": success, **failed}
    return operation


def _schemas(types: Types, sent: set[str], received: set[str]) -> Schema:
    found = {}
    for name in sorted(sent | received):
        if name in types.enums:
            found[component(name)] = enum_schema(types, name)
        elif not types.is_map(name):
            found[component(name)] = message_schema(
                types, name, without=set(), sent=name in sent, received=name in received
            )
    detail = {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}}
    detail["properties"] |= {
        "reason": {"type": "string", "description": "Stable reason code (google.rpc.ErrorInfo)."},
        "domain": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "request_id": {"type": "string", "description": "Of google.rpc.RequestInfo: report it with a fault."},
    }
    found["Error"] = {
        "type": "object",
        "description": "google.rpc.Status.",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "description": "The gRPC status."},
            "message": {"type": "string", "description": "Text for people."},
            "details": {"type": "array", "items": detail},
        },
    }
    return found


def _error(said: str) -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": said, "content": content}


def _probes() -> Schema:
    def probe(name: str, said: str, failure: dict[str, Any]) -> Schema:
        answer = {"application/json": {"schema": {"type": "object"}}}
        responses = {"200": {"description": "It is.", "content": answer}, **failure}
        return {
            "get": {"operationId": name, "tags": ["probes"], "summary": said, "security": [], "responses": responses}
        }

    not_ready = {"503": {"description": "It is not.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    return {
        "/health": probe("health", "Whether a query server runs.", not_ready),
        "/ready": probe("ready", "Whether a query server can answer.", not_ready),
    }


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    if not parser.parse_args().check:
        TARGET.write_text(text(), "utf-8")
        return 0
    if not TARGET.exists() or TARGET.read_text("utf-8") != text():
        print(f"out of date, run `make generate`: {TARGET.name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
