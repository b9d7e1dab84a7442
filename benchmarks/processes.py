"""Start and stop the query server, the index process, the gateway and the peer as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from benchmarks.peers.install import ROOT, peer_environment
from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import write
from ragctl.gateway.options import GatewayOptions
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.runtime_folder import create_private

CLIENT = "client"
_RUNNING: dict[str, int] = {}
"""Process ids by name, the first of each."""
_START_SECONDS = 300
_STOP_SECONDS = 30


@contextmanager
def query_server(
    settings: Settings, *, engine_apart: bool = True, environment: Mapping[str, str] | None = None
) -> Iterator[float]:
    """The server of these settings; yields the seconds from its own start to ready.

    The engine runs in a process of its own, as `rag up` starts it, which is up before, or inside the server.
    `environment` is added to that of both.
    """
    with ExitStack() as stack:
        if settings.qdrant_url is not None:
            pass  # the process belongs to another owner
        elif engine_apart:
            ready = f"http://{settings.host}:{settings.index_metrics_port}/ready"
            stack.enter_context(_ours("index process", "query_server.index_process", settings, ready, environment))
        elif settings.index_endpoint is not None:
            settings = settings.model_copy(update={"index_endpoint": None})
        ready = f"http://{settings.host}:{settings.metrics_port}/ready"
        yield stack.enter_context(_ours("query server", "query_server", settings, ready, environment))


@contextmanager
def index_process(settings: Settings) -> Iterator[float]:
    """The owner of the index folder alone, which may be empty still; `settings.index_endpoint` reaches it.

    Yields the seconds from its start until it answers.
    """
    alive = f"http://{settings.host}:{settings.index_metrics_port}/health"
    with _ours("index process", "query_server.index_process", settings, alive) as seconds:
        yield seconds


@contextmanager
def qdrant_left_clean(settings: Settings) -> Iterator[None]:
    """Removes what this installation made on the Qdrant server, whatever happens."""
    try:
        yield
    finally:
        with closing(open_index(settings)) as index:
            if isinstance(index, QdrantIndex):
                index.discard()


def qdrant_environment(settings: Settings) -> dict[str, str]:
    """Settings of the server, its key, certificates and layout, for another process of the installation."""
    chosen = {name: value for name, value in settings if name.startswith("qdrant_") and value is not None}
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in chosen.items()
    }
    return {f"RAG_{name.upper()}": str(value) for name, value in plain.items()} if settings.qdrant_url else {}


@contextmanager
def _ours(
    name: str, module: str, settings: Settings, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[float]:
    names = ("home", "host", "query_port", "index_port", "index_metrics_port", "metrics_port", "embedder")
    ours = {f"RAG_{field.upper()}": str(getattr(settings, field)) for field in (*names, "embed_threads")}
    ours |= qdrant_environment(settings)
    if settings.index_endpoint is not None:
        ours["RAG_INDEX_ENDPOINT"] = settings.index_endpoint
    if settings.database_url is not None:
        ours["RAG_DATABASE_URL"] = settings.database_url.get_secret_value()
    if settings.index_secret is not None:
        ours["RAG_INDEX_SECRET"] = settings.index_secret.get_secret_value()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RAG_", "OTEL_"))}
    command = [sys.executable, "-m", module]
    whole = inherited | ours | {"PYTHONPATH": str(ROOT), **(environment or {})}
    with process(name, command, whole, settings.home, ready) as seconds:
        yield seconds


@contextmanager
def interfaces(settings: Settings) -> Iterator[None]:
    """The open interfaces of these settings, for a gateway before them."""
    ours = {
        "RAG_INTERFACES_PORT": str(settings.interfaces_port),
        "RAG_INTERFACES_QUERY_ADDRESS": f"127.0.0.1:{settings.gateway_internal_port}",
        "PYTHONPATH": str(ROOT),
    }
    ready = f"http://127.0.0.1:{settings.interfaces_port}/health"
    with process("interfaces", [sys.executable, "-m", "interfaces"], dict(os.environ) | ours, settings.home, ready):
        yield


@contextmanager
def gateway(settings: Settings) -> Iterator[None]:
    """Envoy with the configuration of `rag up`."""
    path = settings.home / "envoy.yaml"
    options = GatewayOptions.from_settings(settings)
    create_private(options.sockets)
    write(options, path)
    ready = f"http://127.0.0.1:{settings.envoy_admin_port}/ready"
    command = [str(envoy_path()), *ENVOY_FLAGS, "-c", str(path)]
    with process("gateway", command, dict(os.environ), settings.home, ready):
        yield


@contextmanager
def peer_service(module: str, python: Path, arguments: Mapping[str, object], folder: Path, port: int) -> Iterator[str]:
    """A query peer of `benchmarks.peers`; yields its base URL."""
    url = f"http://127.0.0.1:{port}"
    options = [f"--{key}={value}" for key, value in arguments.items()]
    command = [str(python), "-m", f"benchmarks.peers.{module}", f"--port={port}", *options]
    with process(f"peer {port}", command, peer_environment(), folder, f"{url}/health"):
        yield url


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """A request to end (SIGTERM) ends what was started here too: it becomes an exception, as Ctrl-C is one."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def process(
    name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, ready: str
) -> Iterator[float]:
    """Any process, up once `ready` answers 200; its output goes to a file in `folder`. Raises `Unavailable`."""
    log = folder / f"{name.replace(' ', '-')}.log"
    started = time.perf_counter()
    with leaving_nothing(), log.open("w") as output:
        child = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _wait(name, child, ready, log)
            _RUNNING.setdefault(name, child.pid)
            yield time.perf_counter() - started
        finally:
            if _RUNNING.get(name) == child.pid:
                del _RUNNING[name]
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def processor_seconds() -> dict[str, float]:
    """Return the processor time that each process that runs has taken so far, by its name; this one is the client."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for name, pid in {**_RUNNING, CLIENT: os.getpid()}.items():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def _wait(name: str, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when the address answers 200. Raises `Unavailable` when the process ends or takes too long."""
    limit = time.perf_counter() + _START_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as client:
        while process.poll() is None and time.perf_counter() < limit:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
    last = " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    raise Unavailable(Reason.START_FAILED, f"the {name} did not become ready: {last[-500:]}")
