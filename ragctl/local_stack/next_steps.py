"""Next steps after `rag up`: addresses of the interfaces, and one example call for each."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rag_core.errors import RagError
from rag_core.settings import Settings
from ragctl.call_settings import reachable
from ragctl.grpc_client import GatewayAddress, gateway_address
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.trace_viewer.install import viewer_url
from ragctl.output import command, shorten

if TYPE_CHECKING:
    import grpc


def urls(settings: Settings) -> dict[str, str]:
    """Address of each interface by name."""
    host = reachable(settings.host)
    return {
        "REST and gRPC (gateway)": gateway_address(settings).url,
        "Dagster UI": f"http://{host}:{settings.dagster_port}",
        "Console": f"http://{host}:{settings.console_port}",
        "Metrics": f"http://{host}:{settings.metrics_port}/metrics",
        **({"Traces": viewer_url(settings)} if settings.traces else {}),
    }


def examples(settings: Settings, data_dir: DataDir, question: str) -> list[tuple[str, str]]:
    """Title and command of a call to each interface."""
    gateway = gateway_address(settings)
    curl, url, grpcurl = f"curl -s{_trusted(gateway)}", gateway.url, "-plaintext"
    if gateway.certificate is not None:
        url = f"https://{gateway.name}:{settings.gateway_port}"
        grpcurl = f"-cacert {shlex.quote(str(gateway.certificate.absolute()))} -authority {gateway.name}"
    token = shlex.quote(str(data_dir.dev_token))
    body = json.dumps({"query": question}, ensure_ascii=False)
    chat = json.dumps({"model": "extractive", "messages": [{"role": "user", "content": question}]}, ensure_ascii=False)
    return [
        ("Command line", f"{_rag(data_dir)} query {shlex.quote(question)}"),
        (
            "REST",
            f'{curl} {url}/api/v1/query -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)}',
        ),
        (
            "REST, streamed",
            f'{curl} -N {url}/api/v2/answer -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)}',
        ),
        (
            "OpenAI's API (any of its clients; MCP clients: the same host, /mcp)",
            f'{curl} {url}/v1/chat/completions -H "authorization: Bearer $(cat {token})" -d {shlex.quote(chat)}',
        ),
        ("gRPC from Python", _python(gateway, data_dir.dev_token, question)),
        (
            "gRPC with grpcurl, if you have it (the server describes itself)",
            f'grpcurl {grpcurl} -H "authorization: Bearer $(cat {token})" -d {shlex.quote(body)} '
            f"{gateway.target} ragproto.query.v2.QueryService/Answer",
        ),
    ]


def _rag(data_dir: DataDir) -> str:
    home = "" if data_dir.root == Path(".rag").absolute() else f"RAG_HOME={shlex.quote(str(data_dir.root))} "
    return f"{home}{command()}"


def _trusted(gateway: GatewayAddress) -> str:
    """The options of curl for a gateway with TLS: its certificate, whatever name that is for."""
    if gateway.certificate is None:
        return ""
    return f" --cacert {shlex.quote(str(gateway.certificate.absolute()))} --connect-to ::{gateway.target}"


def _python(gateway: GatewayAddress, token: Path, question: str) -> str:
    opened = f"grpc.insecure_channel({gateway.target!r})"
    if gateway.certificate is not None:
        trusted = f"grpc.ssl_channel_credentials(Path({str(gateway.certificate.absolute())!r}).read_bytes())"
        options = [("grpc.ssl_target_name_override", gateway.name)]
        opened = f"grpc.secure_channel({gateway.target!r}, {trusted}, options={options})"
    lines = (
        "import grpc",
        "from pathlib import Path",
        "from ragproto.query.v2 import query_pb2 as q, query_pb2_grpc as rpc",
        f"token = Path({str(token)!r}).read_text().strip()",
        f"stub = rpc.QueryServiceStub({opened})",
        "metadata = [('authorization', 'Bearer ' + token)]",
        f"for event in stub.Answer(q.AnswerRequest(query={question!r}), metadata=metadata):",
        "    print(event)",
    )
    program = "\n".join(lines)
    return f"{shlex.quote(shorten(Path(sys.executable)))} - <<'EOF'\n{program}\nEOF"


# --------------------------------------------------------------------------------------------------------------------
# A question that the documents of this stack answer, for the examples that `rag up` prints.


_DEFAULT = "How are deletions guarded?"
"""Answered by this project's own documentation, which the default corpus holds."""
_TITLES = 5
_CALL_SECONDS = 5.0


def sample_question(settings: Settings) -> str:
    """The default question, or one made of a title, whichever is answered first; the default when none is."""
    from ragctl.grpc_client import open_gateway, typed_errors
    from ragctl.tokens import mint_token

    metadata = [("authorization", f"Bearer {mint_token(settings, subject='rag-up', lifetime=300)}")]
    with (
        suppress(RagError),
        open_gateway(settings) as channel,
        typed_errors(),
    ):
        for question in _candidates(channel, metadata):
            if _answered(channel, metadata, question):
                return question
    return _DEFAULT


def _candidates(channel: grpc.Channel, metadata: list[tuple[str, str]]) -> Iterator[str]:
    from ragproto.query.v2 import query_pb2, query_pb2_grpc

    yield _DEFAULT
    request = query_pb2.SearchRequest(query="introduction", top_k=4 * _TITLES)
    stub = query_pb2_grpc.QueryServiceStub(channel)
    passages = stub.Search(request, timeout=_CALL_SECONDS, metadata=metadata).passages
    titles = dict.fromkeys(_subject(passage.title) for passage in passages if passage.title.isprintable())
    yield from (f"What is {title}?" for title in list(filter(None, titles))[:_TITLES])


def _subject(title: str) -> str:
    """Return the subject of a title: `frozenlist` of `frozenlist 1.8.0: A list-like structure`."""
    words = title.partition(":")[0].split()
    return " ".join(words[:-1] if len(words) > 1 and words[-1].lstrip("v")[:1].isdigit() else words)


def _answered(channel: grpc.Channel, metadata: list[tuple[str, str]], question: str) -> bool:
    from ragproto.query.v2 import query_pb2, query_pb2_grpc

    stub = query_pb2_grpc.QueryServiceStub(channel)
    events = stub.Answer(query_pb2.AnswerRequest(query=question), timeout=_CALL_SECONDS, metadata=metadata)
    return any(event.final.HasField("answered") for event in events if event.HasField("final"))
