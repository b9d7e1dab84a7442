"""A schema registry's REST interface over HTTP, with what a test gives it. A real one is in tests/support/kafka."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import fastavro
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TEXT = {"name": "text", "type": "string"}
Registered = dict[str, Any]


def avro(*fields: Any, **more: Any) -> Registered:
    return {"schema": json.dumps({"type": "record", "name": "Doc", "fields": [TEXT, *fields]}), **more}


def written(schema: Registered, value: Any) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema["schema"])), value)
    return out.getvalue()


def framed(number: int, body: bytes) -> bytes:
    return b"\x00" + number.to_bytes(4, "big") + body


class RegistryStandIn:
    """A registry at `url`. What was `asked` for is its paths."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.asked: list[str] = []
        self.held: dict[str, Registered] = {}
        self.status = 200
        self.demands: str | None = None
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def hold(self, number: int, schema: Registered) -> None:
        self.held[f"/schemas/ids/{number}"] = schema

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.path)
        if self.demands is not None and request.headers.get("authorization") != self.demands:
            return Response("", 401)
        if self.status != 200:
            return Response("", self.status)
        if request.path in self.held:
            return Response(json.dumps(self.held[request.path]), 200, content_type="application/json")
        return Response(json.dumps({"error_code": 40403, "message": "Schema not found"}), 404)
