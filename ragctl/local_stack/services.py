"""The services of the local stack: command, dependencies, probe and stop behaviour of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from rag_core.settings import DAGSTER_LOCATION, Settings
from ragctl.call_settings import reachable
from ragctl.gateway.colours import COLOURS, Release, colour_ports, read_colours
from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.grpc_client import gateway_address
from ragctl.local_stack import probes
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.probes import Probe, ProbeResult
from ragctl.local_stack.trace_viewer.install import SERVE, python_of, trace_url, viewer_environment, viewer_url

TOKEN_MAX_AGE_SECONDS = 2 * 3600
WATCHDOG_MAX_AGE_SECONDS = 60
HEARTBEAT_MAX_AGE_SECONDS = 180
FIRST_QUERY_SERVER = "query-server"
VIEWER_STEP = "trace-viewer"
"""The step that installs it."""
GATEWAY = "gateway"
TLS = "https://"
"""Before the address of a heartbeat that is served with TLS."""
CODE_SERVER = "dagster://"
"""Before the address of a heartbeat that is Dagster's code server."""

_DEFINITIONS = ("-m", "rag_assets.definitions", "--location-name", DAGSTER_LOCATION)
# A full garbage collection after each run of a page (postScriptGC) stands still for every session: with 20 of them it
# took three quarters of the process.
STREAMLIT_FLAGS = tuple(
    "--server.headless true --server.enableXsrfProtection true --server.fileWatcherType none"  # noqa: SIM905
    " --browser.gatherUsageStats false --client.showErrorDetails none --client.toolbarMode viewer"
    # Streamlit takes an installation outside a folder `site-packages` (`pip install --target`) for its own development.
    " --runner.postScriptGC false --global.developmentMode false".split()
)
# uvicorn would believe what a client on this host says of its address; `RAG_CONSOLE_TRUSTED_HOPS` decides that.
NO_FORWARDED = (("FORWARDED_ALLOW_IPS", ""),)
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@dataclass(frozen=True, slots=True)
class Service:
    """One supervised process.

    `needs` names services and steps that must be ready before it starts; `waits` are addresses it waits for at every
    start, also after a crash. Services stop in the order of `stop_wave`, one wave together. `port_settings` maps
    each port it listens on to the setting that changes it. At `heartbeat` it serves `grpc.health.v1` (`host:port`,
    with `TLS` before it where it serves that), is a code server (`CODE_SERVER` before it) or a database (a URL); the
    watchdog ends it when it does not answer any more.
    """

    name: str
    command: tuple[str, ...]
    probe: Probe
    port_settings: tuple[tuple[int, str], ...] = ()
    needs: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    stop_wave: int = 0
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    start_seconds: float = 180
    """Time that `rag up` waits without any sign of work; see `ragctl.local_stack.start_deadline`."""
    start_probe: Probe | None = None
    """Probe of a start, where that is less than `probe` asks: `rag up` waits for nothing that it cannot bring."""
    url: str | None = None
    heartbeat: str | None = None


def build_services(settings: Settings, data_dir: DataDir) -> list[Service]:
    """All parts of the embedded stack in the order they are shown."""
    database = [] if settings.database_url else [_postgres(settings)]
    servers = query_server_services(settings, data_dir)
    return [
        *database,
        *([_traces(settings, data_dir)] if settings.traces else []),
        *([_index(settings)] if settings.qdrant_url is None else []),
        *servers,
        _watchdog(data_dir),
        _stream(settings, tuple(part.name for part in servers)),
        *_dagster(settings, data_dir),
        _tokens(data_dir),
        _console(settings, data_dir),
        _interfaces(settings),
        *([_rate_limits(settings)] if settings.redis_url and not settings.gateway_rate_limits else []),
        _gateway(settings, data_dir),
        _deployer(settings, data_dir),
    ]


def _python(*arguments: str) -> tuple[str, ...]:
    # -P: the working folder (RAG_HOME) must not shadow modules.
    return (sys.executable, "-P", "-m", *arguments)


def _database_waits(settings: Settings) -> tuple[str, ...]:
    return () if settings.database_url else (f"127.0.0.1:{settings.postgres_port}",)


def _postgres(settings: Settings) -> Service:
    return Service(
        name="postgres",
        command=_python("rag_core.database.embedded.server"),
        probe=probes.postgres(settings.effective_database_url),
        port_settings=((settings.postgres_port, "RAG_POSTGRES_PORT"),),
        stop_wave=4,
        stop_signal="INT",  # fast shutdown; TERM would wait for every client to leave
        stop_seconds=30,
        heartbeat=settings.effective_database_url,
    )


def _index(settings: Settings) -> Service:
    """The embedded engine in a process of its own; query server and runs reach it through RAG_INDEX_ENDPOINT."""
    return Service(
        name="index",
        command=_python("query_server.index_process"),
        probe=probes.http(f"http://{reachable(settings.host)}:{settings.index_metrics_port}/health"),
        port_settings=(
            (settings.index_port, "RAG_INDEX_PORT"),
            (settings.index_metrics_port, "RAG_INDEX_METRICS_PORT"),
        ),
        stop_wave=4,  # after the query server and the runs
        stop_seconds=30,
        heartbeat=f"127.0.0.1:{settings.index_port}",
    )


def _traces(settings: Settings, data_dir: DataDir) -> Service:
    """The trace viewer, which has an interpreter of its own."""
    url = viewer_url(settings)
    return Service(
        name="traces",
        command=(str(python_of(data_dir)), "-P", str(SERVE)),
        probe=probes.http(f"{url}/healthz"),
        port_settings=((settings.traces_port, "RAG_TRACES_PORT"),),
        needs=(VIEWER_STEP,),
        env=tuple(viewer_environment(settings, data_dir).items()),
        stop_wave=4,  # what stops before it hands over its last spans
        stop_seconds=10,
        url=url,
    )


def query_server_services(settings: Settings, data_dir: DataDir) -> list[Service]:
    """The servers of both colours. Those of blue have the names that a stack without deployments has."""
    colours = read_colours(data_dir.gateway)
    return [part for name in COLOURS for part in colour_services(settings, name, colours.of(name))]


def colour_services(settings: Settings, colour: str, release: Release | None) -> list[Service]:
    """The servers of a colour; none when nothing runs there."""
    if release is None:
        return []
    first = FIRST_QUERY_SERVER if colour == "blue" else f"{FIRST_QUERY_SERVER}-{colour}"
    pairs = enumerate(colour_ports(settings, colour), 1)
    return [
        _query_server(settings, release, first if number == 1 else f"{first}-{number}", ports, colour)
        for number, ports in pairs
    ]


def _query_server(settings: Settings, release: Release, name: str, ports: tuple[int, int], colour: str) -> Service:
    query, http = ports
    if name == FIRST_QUERY_SERVER:
        names = ("RAG_QUERY_PORT", "RAG_METRICS_PORT")
    else:
        names = ("RAG_GREEN_PORTS",) * 2 if colour == "green" else ("RAG_REPLICA_PORTS",) * 2
    own = {"RAG_QUERY_PORT": str(query), "RAG_METRICS_PORT": str(http)}
    return Service(
        name=name,
        command=(release.python or sys.executable, *_python("query_server")[1:]),
        probe=probes.http(f"http://{reachable(settings.host)}:{http}/health"),
        port_settings=((query, names[0]), (http, names[1])),
        needs=("migrate", "model"),
        waits=_database_waits(settings),
        env=tuple({**release.environment, **own}.items()),
        stop_wave=3,
        stop_seconds=int(settings.drain_seconds + settings.grace_seconds) + 5,
        heartbeat=f"{TLS if settings.query_tls_certificate else ''}{reachable(settings.host)}:{query}",
    )


def _watchdog(data_dir: DataDir) -> Service:
    return Service(
        name="watchdog",
        command=_python("ragctl.local_stack.watchdog"),
        probe=probes.fresh_file(data_dir.watchdog_heartbeat, WATCHDOG_MAX_AGE_SECONDS),
        stop_wave=0,  # first: a service that is being stopped is silent for good reasons
        stop_seconds=10,
    )


def _stream(settings: Settings, servers: tuple[str, ...]) -> Service:
    waits = _database_waits(settings)
    if settings.qdrant_url is None:
        waits += (f"127.0.0.1:{settings.index_port}",)
    pages = f"http://{reachable(settings.host)}:{settings.stream_metrics_port}"
    return Service(
        name="stream",
        command=_python("rag_assets.stream_worker"),
        # Its own /health says 503 while a stream is halted: the process works, and `rag status` must say so.
        probe=probes.http(f"{pages}/health"),
        start_probe=probes.http(f"{pages}/live"),
        port_settings=((settings.stream_metrics_port, "RAG_STREAM_METRICS_PORT"),),
        needs=("migrate", "model", *servers),
        waits=waits,
        stop_wave=2,
        stop_seconds=int(settings.stream_drain_seconds) + 5,
    )


def _dagster(settings: Settings, data_dir: DataDir) -> list[Service]:
    url = f"http://{reachable(settings.host)}:{settings.dagster_port}"
    code_server = f"127.0.0.1:{settings.code_location_port}"
    workspace = str(data_dir.workspace_file)
    waits = _database_waits(settings)
    # The first time its tables are made before any of its processes could try; later they need not wait for that look.
    needs = () if data_dir.dagster_storage_marker.exists() else ("migrate",)
    code = Service(
        name="dagster-code",
        command=_python(
            "rag_assets.code_server", "-h", "127.0.0.1", "-p", str(settings.code_location_port), *_DEFINITIONS
        ),
        probe=probes.definitions(code_server),
        port_settings=((settings.code_location_port, "RAG_CODE_LOCATION_PORT"),),
        needs=needs,
        waits=waits,
        stop_wave=2,
        heartbeat=f"{CODE_SERVER}{code_server}",
    )
    web = Service(
        name="dagster-webserver",
        command=_python("rag_assets.webserver", workspace),
        probe=probes.code_locations(url),
        port_settings=((settings.dagster_port, "RAG_DAGSTER_PORT"),),
        needs=needs,
        waits=(*waits, code_server),
        stop_wave=2,
        url=url,
    )
    daemon = Service(
        name="dagster-daemon",
        command=_python("rag_assets.daemon", "run", "-w", workspace),
        probe=probes.graphql(f"{url}/graphql", _DAEMONS, daemons_health),
        needs=("migrate",),
        waits=(*waits, code_server),
        stop_wave=1,
    )
    return [code, web, daemon]


def _tokens(data_dir: DataDir) -> Service:
    return Service(
        name="tokens",
        command=_python("ragctl.local_stack.token_keeper"),
        probe=probes.fresh_file(data_dir.dev_token, TOKEN_MAX_AGE_SECONDS),
        stop_wave=1,
    )


def _console(settings: Settings, data_dir: DataDir) -> Service:
    import console

    port = settings.console_port
    app = str(Path(console.__file__).parent / "app.py")
    address = ("--server.address", settings.host, "--server.port", str(port))
    url = f"http://{reachable(settings.host)}:{port}"
    return Service(
        name="console",
        command=_python("streamlit", "run", app, *address, *STREAMLIT_FLAGS),
        probe=probes.http(f"{url}/_stcore/health", expect="ok"),
        port_settings=((port, "RAG_CONSOLE_PORT"),),
        env=(
            *_console_channels(settings),
            ("RAG_CONSOLE_ENVIRONMENT", settings.environment),
            ("RAG_CONSOLE_DAGSTER_URL", f"http://{reachable(settings.host)}:{settings.dagster_port}"),
            ("RAG_CONSOLE_METRICS_URLS", ",".join(_metrics_pages(settings))),
            ("RAG_CONSOLE_ENVOY_ADMIN_URL", f"http://127.0.0.1:{settings.envoy_admin_port}"),
            ("RAG_CONSOLE_PROMETHEUS_URL", settings.prometheus_url or ""),
            ("RAG_CONSOLE_TRACE_URL", trace_url(settings)),
            ("RAG_CONSOLE_SIGN_IN_SOCKET", str(data_dir.token_socket)),
            *NO_FORWARDED,
        ),
        stop_wave=0,
        stop_seconds=5,
        url=url,
    )


def _console_channels(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return how the console calls query servers and the gateway: with TLS where they serve that."""
    gateway = gateway_address(settings)
    return (
        ("RAG_CONSOLE_QUERY_ADDRESS", any_query_server(settings)),
        ("RAG_CONSOLE_GATEWAY_URL", gateway.url),
        ("RAG_CONSOLE_GATEWAY_TLS_CA", str(gateway.certificate.absolute()) if gateway.certificate else ""),
        ("RAG_CONSOLE_GATEWAY_TLS_NAME", gateway.name),
        *_query_tls(settings, "RAG_CONSOLE").items(),
    )


def _query_tls(settings: Settings, prefix: str) -> dict[str, str]:
    """Settings of a client of the query servers, which shows the certificate that the gateway shows."""
    if (trusted := settings.query_tls_ca or settings.query_tls_certificate) is None:
        return {}
    files = {
        "QUERY_TLS_CA": trusted,
        "QUERY_CERTIFICATE": settings.gateway_query_certificate,
        "QUERY_KEY": settings.gateway_query_key,
    }
    found = {f"{prefix}_{name}": str(path.absolute()) for name, path in files.items() if path is not None}
    return found | {f"{prefix}_QUERY_TLS_NAME": settings.query_tls_name}


def _interfaces(settings: Settings) -> Service:
    """OpenAI's API, MCP and the API description, behind the gateway."""
    host, port = reachable(settings.host), settings.interfaces_port
    return Service(
        name="interfaces",
        command=_python("interfaces"),
        probe=probes.http(f"http://{host}:{port}/health"),
        port_settings=((port, "RAG_INTERFACES_PORT"),),
        env=tuple(interfaces_environment(settings, f"127.0.0.1:{settings.gateway_internal_port}").items()),
        stop_wave=1,  # after the gateway, before the query servers
        stop_seconds=int(settings.grace_seconds) + 5,
    )


def _rate_limits(settings: Settings) -> Service:
    """Counts clients in Redis, as several gateways would share it."""
    metrics = settings.rate_limits_metrics_port
    return Service(
        name="rate-limits",
        command=_python("query_server.rate_limits"),
        probe=probes.http(f"http://{reachable(settings.host)}:{metrics}/health"),
        port_settings=(
            (settings.rate_limits_port, "RAG_RATE_LIMITS_PORT"),
            (metrics, "RAG_RATE_LIMITS_METRICS_PORT"),
        ),
        stop_wave=1,  # after the gateway
        stop_seconds=10,
    )


def interfaces_environment(settings: Settings, gateway: str) -> dict[str, str]:
    """Return what the open interfaces take over from the settings of the platform."""
    return {
        "RAG_INTERFACES_HOST": settings.host,
        "RAG_INTERFACES_PORT": str(settings.interfaces_port),
        "RAG_INTERFACES_QUERY_ADDRESS": gateway,
        "RAG_INTERFACES_CALL_SECONDS": str(settings.max_deadline_seconds),
        "RAG_INTERFACES_GRACE_SECONDS": str(settings.grace_seconds),
        "RAG_INTERFACES_MAX_BODY_BYTES": str(settings.max_message_bytes),
        "RAG_INTERFACES_ORIGINS": ",".join(sorted(settings.gateway_cors_origins)),
        "RAG_INTERFACES_BROWSER_DOCS": str(settings.environment == "development").lower(),
    }


def _metrics_pages(settings: Settings) -> list[str]:
    """The pages the console reads: of the query servers, whichever colour runs, and of the stream worker."""
    ports = [http for colour in COLOURS for _, http in colour_ports(settings, colour)]
    return [f"http://{reachable(settings.host)}:{port}/metrics" for port in (*ports, settings.stream_metrics_port)]


def _gateway(settings: Settings, data_dir: DataDir) -> Service:
    return Service(
        name=GATEWAY,
        command=(str(envoy_path()), *ENVOY_FLAGS, "-c", str(data_dir.gateway / "bootstrap.yaml")),
        probe=probes.http(f"http://127.0.0.1:{settings.envoy_admin_port}/ready", expect="LIVE"),
        port_settings=(
            (settings.gateway_port, "RAG_GATEWAY_PORT"),
            (settings.gateway_internal_port, "RAG_GATEWAY_INTERNAL_PORT"),
            (settings.envoy_admin_port, "RAG_ENVOY_ADMIN_PORT"),
            *([(port, "RAG_GATEWAY_METRICS_PORT")] if (port := settings.gateway_metrics_port) else []),
        ),
        stop_wave=0,
        stop_seconds=5,
        url=gateway_address(settings).url,
    )


def _deployer(settings: Settings, data_dir: DataDir) -> Service:
    """Carries out deployments that operators request, and resumes one whose command died."""
    return Service(
        name="deployer",
        command=_python("ragctl.rollout.controller"),
        probe=probes.fresh_file(data_dir.deployer_heartbeat, HEARTBEAT_MAX_AGE_SECONDS),
        needs=("migrate",),
        waits=_database_waits(settings),
        stop_wave=0,  # it talks to the supervisor and the gateway, and must not begin anything while they stop
        stop_seconds=30,
    )


def any_query_server(settings: Settings) -> str:
    """A gRPC target that is whichever colour runs: the next address is tried when one does not answer."""
    host = reachable(settings.host)
    ports = [colour_ports(settings, colour)[0][0] for colour in COLOURS]
    try:
        version = ip_address(host).version
    except ValueError:
        return f"{host}:{ports[0]}"  # a name cannot be given twice
    shown = f"[{host}]" if version == 6 else host
    return f"ipv{version}:" + ",".join(f"{shown}:{port}" for port in ports)


def daemons_health(data: dict[str, Any]) -> ProbeResult:
    """Healthy when every required daemon has sent a heartbeat lately."""
    statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    silent = [item["daemonType"] for item in statuses if item["required"] and not item["healthy"]]
    return ProbeResult(not silent, f"no heartbeat: {', '.join(sorted(silent))}" if silent else "")
