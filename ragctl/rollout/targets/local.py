"""The stack of `rag up` as a target: colours are query servers under its supervisor, behind its Envoy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from rag_core.errors import Conflict, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.call_settings import reachable
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.colours import Release, colour_ports, read_colours, write_colours
from ragctl.gateway.live import current_options, green_share, shift
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import build_services, colour_services
from ragctl.local_stack.supervisor import Supervisor
from ragctl.rollout.metrics import fetch, fetch_counts, ready
from ragctl.rollout.targets.base import ColourTraffic, Health, Server

_LOCK_SECONDS = 60.0
_EFFECT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_UPDATES = "http.public.rds.public.update_success"


class LocalTarget:
    """Changes what should run (`gateway/colours.json`), then has supervisor and gateway follow."""

    name = "local"

    def __init__(self, settings: Settings, data_dir: DataDir) -> None:
        self._settings, self._home = settings, data_dir
        self._supervisor = Supervisor(data_dir)

    def release(self, colour: str) -> Release | None:
        return read_colours(self._home.gateway).of(colour)

    def start(self, colour: str, release: Release) -> None:
        with self._changing() as follow:
            self._keep(colour, release)
            # The gateway learns of the servers first: their health is checked before any weight is theirs.
            self._write_gateway()
            follow(colour)
            for service in colour_services(self._settings, colour, release):
                self._supervisor.start_service(service.name)

    def stop(self, colour: str) -> None:
        if self.release(colour) is None:
            return
        with self._changing() as follow:
            gone = {part.name for part in colour_services(self._settings, colour, self.release(colour))}
            self._keep(colour, None)
            self._write_gateway()
            follow(colour, gone)

    def health(self, colour: str) -> Health:
        services = colour_services(self._settings, colour, self.release(colour))
        infos = self._supervisor.infos()
        if not infos:
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the stack does not run; `rag up` starts it")
        down = [part.name for part in services if part.name not in infos or not infos[part.name].alive]
        answers = [ready(server.http) for server in self.servers(colour)]
        known = self._known_good(colour)
        good = min(len(services) - len(down), sum(not problem for problem in answers), known)
        problems = [*(f"{name} does not run" for name in down), *(problem for problem in answers if problem)]
        if not problems and known < len(services):
            problems.append(f"the gateway finds {known} of {len(services)} servers healthy")
        failed = any(infos[name].state == "BACKOFF" for name in down if name in infos)
        return Health(len(services), good, "; ".join(problems[:3]), failed)

    def servers(self, colour: str) -> Sequence[Server]:
        if self.release(colour) is None:
            return ()
        host = reachable(self._settings.host)
        ports = colour_ports(self._settings, colour)
        return [Server(f"{host}:{query}", f"http://{host}:{http}") for query, http in ports]

    def green_percent(self) -> int:
        return green_share(self._home.gateway)

    def shift(self, green_percent: int) -> None:
        if green_percent == self.green_percent():
            # A process may have died between the two files.
            write_dynamic(current_options(self._settings, self._home.gateway), self._home.gateway)
            return
        before = self._stat(_UPDATES)
        shift(self._settings, self._home.gateway, green_percent)
        deadline = time.monotonic() + _EFFECT_SECONDS
        while before is not None and (self._stat(_UPDATES) or 0) <= before:
            if time.monotonic() > deadline:
                raise Unavailable(Reason.TARGET_UNAVAILABLE, "the gateway did not take up the weights; see its log")
            time.sleep(_POLL_SECONDS)

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        names = (f"cluster.query-{colour}.upstream_rq_{what}" for what in ("completed", "5xx", "active"))
        return {"gateway": ColourTraffic(*(self._stat(name) or 0 for name in names))}

    def runs(self, colour: str, release: Release) -> bool:
        return self.release(colour) == release

    def wanted(self) -> Release | None:
        return None

    def maintain(self) -> None:
        """The stack follows its settings at `rag up`."""

    def _keep(self, colour: str, release: Release | None) -> None:
        folder = self._home.gateway
        write_colours(folder, read_colours(folder).with_release(colour, release))

    def _write_gateway(self) -> None:
        write_dynamic(current_options(self._settings, self._home.gateway), self._home.gateway)

    def _known_good(self, colour: str) -> int:
        return self._stat(f"cluster.query-{colour}.membership_healthy") or 0

    def _stat(self, name: str) -> int | None:
        """A number of the gateway's; None while it does not answer."""
        page = fetch(f"http://127.0.0.1:{self._settings.envoy_admin_port}/stats?filter=^{name}$")
        return None if page is None else fetch_counts(page).get(name)

    @contextmanager
    def _changing(self) -> Iterator[Callable[..., None]]:
        """Keep `rag up` and `rag down` away; yields what makes the supervisor follow for the parts of one colour."""
        if not self._supervisor.running():
            raise Unavailable(Reason.TARGET_UNAVAILABLE, "the stack does not run; `rag up` starts it")

        def follow(colour: str, gone: set[str] | None = None) -> None:
            services = build_services(self._settings, self._home)
            self._supervisor.write_config(services)
            release = self.release(colour)
            names = {part.name for part in colour_services(self._settings, colour, release)} | (gone or set())
            self._supervisor.reload(names)

        with self._locked():
            yield follow

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as held:
            self._acquire(held)
            yield

    def _acquire(self, held: ExitStack) -> None:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                held.enter_context(self._home.lock())
            except Conflict:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                return
