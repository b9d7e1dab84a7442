"""Where the interfaces of a running stack are, and one call for each that can be pasted as it is."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from rag_core.settings import Settings
from ragctl.gateway.options import reachable
from ragctl.stack.home import Home


def urls(settings: Settings) -> dict[str, str]:
    """Address of each interface by name."""
    host = reachable(settings.host)
    return {
        "REST and gRPC (gateway)": f"http://{host}:{settings.gateway_port}",
        "Dagster UI": f"http://{host}:{settings.dagster_port}",
        "Console": f"http://{host}:{settings.console_port}",
        "Metrics": f"http://{host}:{settings.metrics_port}/metrics",
    }


def examples(settings: Settings, home: Home, question: str) -> list[tuple[str, str]]:
    """Title and command of a call to each interface."""
    gateway = f"{reachable(settings.host)}:{settings.gateway_port}"
    token = shlex.quote(str(home.dev_token))
    body = json.dumps({"query": question}, ensure_ascii=False)
    return [
        ("Command line", f"{_rag(home)} query {shlex.quote(question)}"),
        (
            "REST",
            f'curl -s http://{gateway}/api/v1/query -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)}',
        ),
        (
            "REST, streamed",
            f'curl -sN http://{gateway}/api/v2/answer -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)}',
        ),
        ("gRPC from Python", _python(gateway, home.dev_token, question)),
        (
            "gRPC with grpcurl, if you have it (the server describes itself)",
            f'grpcurl -plaintext -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)} '
            f"{gateway} ragproto.query.v2.QueryService/Answer",
        ),
    ]


def _rag(home: Home) -> str:
    command = shlex.quote(_shorten(Path(sys.argv[0]))) if Path(sys.argv[0]).name == "rag" else "rag"
    return command if home.root == Path(".rag").absolute() else f"RAG_HOME={shlex.quote(str(home.root))} {command}"


def _python(gateway: str, token: Path, question: str) -> str:
    lines = (
        "import grpc",
        "from pathlib import Path",
        "from ragproto.query.v2 import query_pb2 as q, query_pb2_grpc as rpc",
        f"token = Path({str(token)!r}).read_text().strip()",
        f"stub = rpc.QueryServiceStub(grpc.insecure_channel({gateway!r}))",
        "metadata = [('authorization', 'Bearer ' + token)]",
        f"for event in stub.Answer(q.AnswerRequest(query={question!r}), metadata=metadata):",
        "    print(event)",
    )
    program = "\n".join(lines)
    return f"{shlex.quote(_shorten(Path(sys.executable)))} - <<'EOF'\n{program}\nEOF"


def _shorten(path: Path) -> str:
    """Relative to the working folder when it lies below it: that is what people type."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
