"""What a page of a stranger's can make the browser on this machine send to a port, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

EVIL = "evil.example"
PATHS = (
    *("/", "/health", "/ready", "/metrics", "/server_info", "/graphql?query={version}", "/graphql?query=mutation{x}"),
    *("/logs/a/b/c", "/report_asset_materialization/a", "/stats", "/stats/prometheus", "/clusters", "/config_dump"),
    *("/quitquitquit", "/drain_listeners", "/healthcheck/fail", "/logging?level=trace", "/api/traces", "/api/services"),
    *("/v1/traces", "/api/v1/query", "/api/v2/search", "/api/v2/usage", "/v1/models", "/v1/chat/completions", "/mcp"),
    *("/ragproto.query.v2.QueryService/Search", "/ragproto.admin.v1.IndexService/Apply", "/api.DagsterApi/Ping"),
    *(
        "/docs/",
        "/openapi.json",
        "/llms.txt",
        "/_stcore/upload_file/a/b",
        "/_stcore/host-config",
        "/media/a",
        "/sign-in",
    ),
)
PUBLIC = ("/health", "/ready", "/docs/", "/openapi.json", "/llms.txt", "/sign-in", "/_stcore/host-config")
"""What anybody may read: nothing of it is a secret."""
TEXT = {"Content-Type": "text/plain", "Origin": f"http://{EVIL}", "Sec-Fetch-Site": "cross-site"}
"""Of a form or `fetch` that needs no permission."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one request; `status` 0: the connection was closed without one that HTTP knows."""

    way: str
    path: str
    status: int
    body: str = ""
    readable: bool = False

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


def visit(port: int) -> Iterator[Answer]:
    """Every path, each way: a picture or link, a form, a question of CORS, and by a name that leads here."""
    here = f"127.0.0.1:{port}"
    rebound = {"Host": f"{EVIL}:{port}", "Sec-Fetch-Site": "same-origin"}
    for path in PATHS:
        yield _send(port, "picture", "GET", path, {"Host": here, "Sec-Fetch-Site": "cross-site", "Accept": "image/*"})
        yield _send(port, "form", "POST", path, {"Host": here, **TEXT})
        asked = {"Host": here, "Origin": f"http://{EVIL}", "Access-Control-Request-Method": "POST"}
        yield _send(port, "question", "OPTIONS", path, asked)
        yield _send(port, "rebound", "GET", path, rebound)
        json = {"Content-Type": "application/json", "Origin": f"http://{EVIL}:{port}"}
        yield _send(port, "rebound post", "POST", path, rebound | json)


def _send(port: int, way: str, method: str, path: str, headers: dict[str, str]) -> Answer:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            connection.request(
                method, path, body='{"query": "mutation { x }"}' if method == "POST" else None, headers=headers
            )
            response = connection.getresponse()
            body = response.read(4096).decode("utf-8", "replace")
        except (HTTPException, ConnectionError):
            return Answer(way, path, 0)
    return Answer(way, path, response.status, body, response.headers["access-control-allow-origin"] is not None)
