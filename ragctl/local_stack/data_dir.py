"""The data folder of a local stack: its layout, its lock, its settings file, the state of a running stack, and
ports counted from one."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.settings import Settings
from ragctl.runtime_folder import create_private, runtime_folder
from ragctl.tokens import write_private

_PRIVATE = 0o700


def existing_part(path: Path) -> Path:
    """The path, or its nearest parent that exists: it shows the disk and the owner that the path will have."""
    return next(place for place in (path, *path.parents) if place.exists())


@dataclass(frozen=True, slots=True)
class StackState:
    """State of a running stack: `stack_id` marks its processes, hashes identify what they were started with."""

    stack_id: str
    environment: str = ""
    """Hash of what supervisord's environment alone holds."""
    settings: dict[str, str] = field(default_factory=dict)
    """Hash of each setting."""
    files: dict[str, str] = field(default_factory=dict)
    """Hash of the files of a service, by its name."""
    ports: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths of the stack under RAG_HOME (an absolute path)."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> DataDir:
        """The home of these settings. Raises `ConfigError` for a path with control characters."""
        root = settings.home.expanduser().absolute()
        if not str(root).isprintable():
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_HOME must not contain control characters")
        return cls(root)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def dagster_storage_marker(self) -> Path:
        """Names the Dagster version and the database of Dagster's tables."""
        return self.dagster / "storage"

    @property
    def workspace_file(self) -> Path:
        return self.dagster / "workspace.yaml"

    @property
    def watchdog_heartbeat(self) -> Path:
        """Modified by the watchdog at each round."""
        return self.run / "watchdog"

    @property
    def gateway(self) -> Path:
        """The files Envoy watches; `bootstrap.yaml` is the one it is started with."""
        return self.run / "gateway"

    @property
    def token_socket(self) -> Path:
        """Socket of the token broker: the console exchanges a password for a token."""
        return self.runtime / "tokens.sock"

    @property
    def deployer_heartbeat(self) -> Path:
        """Modified by the deployer while it works."""
        return self.run / "deployer"

    @property
    def dev_token(self) -> Path:
        return self.secrets / "dev-token"

    @property
    def env_file(self) -> Path:
        return self.root / "stack.env"

    @property
    def state_file(self) -> Path:
        return self.run / "stack.json"

    @property
    def counts(self) -> Path:
        """One file per service with the number of its starts since the stack came up."""
        return self.run / "starts"

    @property
    def runtime(self) -> Path:
        """Short folder for sockets; the same for every process of this user and home."""
        return runtime_folder(self.root)

    @property
    def traces(self) -> Path:
        """The viewer of `rag up --traces`: its environment and, in `data`, the traces that it keeps."""
        return self.root / "traces"

    @property
    def link(self) -> Path:
        """A link to the home with a short and plain path, for programs that are particular about paths."""
        return self.runtime / "home"

    def log(self, service: str) -> Path:
        """Log file of a service."""
        return self.logs / f"{service}.log"

    def create(self) -> None:
        """Make the folders. Raises `Conflict` (`HOME_IN_USE`) when they are another user's, `ConfigError` otherwise."""
        try:
            # As root the database runs as another user, who must be able to pass through.
            self.root.mkdir(mode=0o755 if os.geteuid() == 0 else _PRIVATE, parents=True, exist_ok=True)
            for folder in (self.logs, self.run, self.secrets, self.dagster, self.counts, self.root / "sources"):
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
        except OSError as error:
            raise ConfigError(Reason.CONFIG_INVALID, f"RAG_HOME cannot be written: {error.strerror}") from None
        owner = self.run.stat().st_uid
        if owner != os.geteuid():
            raise Conflict(
                Reason.HOME_IN_USE, f"RAG_HOME belongs to user id {owner}; run as that user or choose another RAG_HOME"
            )
        self._create_runtime()

    def _create_runtime(self) -> None:
        create_private(self.runtime)
        with contextlib.suppress(FileExistsError):
            self.link.symlink_to(self.root)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other `rag up` and `rag down` away. Raises `Conflict` (`HOME_IN_USE`) when one is at work."""
        with (self.run / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                other = file.read().strip() or "unknown"
                raise Conflict(
                    Reason.HOME_IN_USE,
                    f"another `rag up` or `rag down` (process {other}) works on this RAG_HOME; wait until it has ended",
                ) from None
            file.truncate(0)
            with contextlib.suppress(OSError):  # a full disk: the stack must still be stopped
                os.write(file.fileno(), str(os.getpid()).encode())
            yield

    def read_state(self) -> StackState | None:
        """The state written by the last `rag up`, None when there is none or it is damaged."""
        try:
            known = json.loads(self.state_file.read_text("utf-8"))
            # Another release may have written other fields; the processes are ours all the same.
            return StackState(**{one.name: known[one.name] for one in fields(StackState) if one.name in known})
        except (OSError, ValueError, TypeError):
            return None

    def write_state(self, state: StackState) -> None:
        """Remember a stack before any of its processes exist, so that none can be lost track of."""
        write_private(self.state_file, json.dumps(asdict(state)) + "\n")


def load(home_override: DataDir | None = None, /, **given: object) -> tuple[Settings, DataDir]:
    """Settings with an absolute home, so that equal stacks have equal settings wherever the command is run.

    `given` are settings of an option of the command; they win over what the environment and `stack.env` say.
    """
    settings = Settings.load(**given)
    data_dir = home_override or DataDir.of(settings)
    return settings.model_copy(update={"home": data_dir.root}), data_dir


_FIRST = 1024
_RANGE = 300
_QUERY_SERVERS = 20
"""Offset of the first query server's ports: each further server has those of the last plus 10, green plus 100."""
_OF_QUERY_SERVERS = ("query_port", "metrics_port")
_OTHERS = sorted(
    (
        name
        for name, field in Settings.model_fields.items()
        if name.endswith("_port") and field.default is not None and name not in _OF_QUERY_SERVERS
    ),
    key=lambda name: name != "gateway_port",  # the port that people use comes first
)


def ports_counted_from(first: int | None) -> dict[str, object]:
    """Every setting that names a port, from `first` on; nothing without one.

    Raises `ConfigError` (`USAGE`) when they do not fit, or when one is set in the environment, which would win in every
    later command.
    """
    if first is None:
        return {}
    if not _FIRST <= first <= 65_536 - _RANGE:
        raise ConfigError(Reason.USAGE, f"--ports-from must be {_FIRST} to {65_536 - _RANGE}: {_RANGE} ports follow")
    numbers = {name: first + at for at, name in enumerate(_OTHERS)}
    numbers |= {name: first + _QUERY_SERVERS + at for at, name in enumerate(_OF_QUERY_SERVERS)}
    ports: dict[str, object] = {**numbers, "replica_ports": None, "green_ports": None}
    if taken := sorted({f"RAG_{name.upper()}" for name in ports} & os.environ.keys()):
        raise ConfigError(Reason.USAGE, f"--ports-from: the environment sets {', '.join(taken)}; unset that first")
    return ports
