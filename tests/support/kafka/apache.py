"""Apache Kafka itself, from its published jars: brokers in KRaft mode that tests start, kill and start again.

The jars are in `RAG_TEST_KAFKA_LIBS`, or Maven fetches them once into the user's cache (92 files, 55 MB).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.ports import free_port
from tests.support.kafka_broker import Broker
from tests.support.postgres import die_with_parent

VERSION = "4.3.1"
START_SECONDS = 120
_FETCH_SECONDS = 20
_POM = Path(__file__).with_name("pom.xml")
_CLUSTER_ID = "cmFnLXBsYXRmb3JtLXRlc3Q"
_JAVA = ("java", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def jars() -> Path:
    """The folder of the jars. Skips the test, with how to give them, where they cannot be had."""
    how = f"RAG_TEST_KAFKA_LIBS=folder of org.apache.kafka:kafka_2.13 and kafka-tools {VERSION} with what they need"
    if shutil.which("java") is None:
        pytest.skip("Apache Kafka needs Java 17 or newer on PATH; or give a broker: RAG_TEST_KAFKA=host:port")
    if given := os.environ.get("RAG_TEST_KAFKA_LIBS"):
        if not list(Path(given).glob("kafka_2.13-*.jar")):
            pytest.skip(f"no kafka_2.13 jar in RAG_TEST_KAFKA_LIBS; {how}")
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag-platform" / f"kafka-{VERSION}"
    if not (cache / "complete").exists() and not _fetch(cache):
        pytest.skip(f"Maven did not bring Apache Kafka's jars within {2 * _FETCH_SECONDS} s; {how}")
    return cache


def _fetch(folder: Path) -> bool:
    if shutil.which("mvn") is None:
        return False
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    for _ in range(2):  # the second try continues with what the first has fetched
        try:
            subprocess.run(command, check=True, timeout=_FETCH_SECONDS, capture_output=True)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            continue
        (folder / "complete").touch()
        return True
    return False


@dataclass
class Node:
    """One broker process and its files."""

    number: int
    port: int
    libs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as out:
            self.process = subprocess.Popen(
                [*_JAVA, "-cp", f"{self.libs}/*", "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )

    def kill(self) -> None:
        """As power loss of the process: SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def freeze(self) -> None:
        """The process stops answering and its connections stay."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def last_log(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-5:])


@dataclass
class Cluster:
    """Nodes that form one cluster; the first is its controller too and must live."""

    nodes: list[Node]
    folder: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def broker(self) -> Broker:
        """The topic that tests produce to and read from."""
        return Broker(self.address, session_timeout_ms=6000)

    def wait(self, config: Mapping[str, object] | None = None) -> None:
        """Until every started node is a member. `config` are settings of the client."""
        wanted = {node.number for node in self.nodes if node.process is not None}
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0, **(config or {})})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            ended = [node for node in self.nodes if node.process is not None and node.process.poll() is not None]
            if ended:
                raise RuntimeError(f"Kafka ended: {ended[0].last_log()}")
            try:
                if wanted <= set(admin.list_topics(timeout=2).brokers):
                    return
            except KafkaException:
                threading.Event().wait(0.1)
        raise TimeoutError(f"Kafka does not answer: {self.nodes[0].last_log()}")

    def revive(self) -> None:
        """Start every node that was killed, and wait."""
        for node in self.nodes:
            if node.process is None:
                node.start()
        self.wait()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_cluster(
    nodes: int = 1,
    extra: Mapping[str, str] | None = None,
    *,
    listener: str = "PLAINTEXT",
    client: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
) -> Cluster:
    """Start a cluster on free ports and wait for it. `extra` are properties of every broker, `arguments` of its format.

    `listener` is the protocol that clients speak, `client` the settings a client needs for it.
    """
    libs = jars()
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    control = free_port()
    cluster = Cluster([], folder, extra or {})
    try:
        for number in range(1, nodes + 1):
            node = Node(number, free_port(), libs, folder / str(number))
            node.folder.mkdir()
            settings = _properties(node, control, nodes, listener) | dict(cluster.extra)
            lines = "".join(f"{name}={value}\n" for name, value in settings.items())
            (node.folder / "server.properties").write_text(lines)
            _format(node, ["--standalone"] if number == 1 else ["--no-initial-controllers"], arguments)
            node.start()
            cluster.nodes.append(node)
        cluster.wait(client)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _format(node: Node, role: Sequence[str], arguments: Sequence[str]) -> None:
    tool = [*_JAVA, "-cp", f"{node.libs}/*", "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID]
    command = [*tool, *role, "-c", str(node.folder / "server.properties"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Kafka's storage tool failed: {done.stdout}{done.stderr}"[-2000:])


def _properties(node: Node, control: int, nodes: int, listener: str) -> dict[str, str]:
    """A broker with Kafka's defaults, except for folders, ports and the replication of a single node."""
    address, inner = f"127.0.0.1:{node.port}", f"127.0.0.1:{free_port()}"
    leads = node.number == 1
    listeners = {"CLIENT": address, "INNER": inner} | ({"CONTROLLER": f"127.0.0.1:{control}"} if leads else {})
    made = {
        "process.roles": "broker,controller" if leads else "broker",
        "node.id": str(node.number),
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{control}",
        "listeners": ",".join(f"{name}://{at}" for name, at in listeners.items()),
        "advertised.listeners": f"CLIENT://{address},INNER://{inner}",
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,INNER:PLAINTEXT,CLIENT:{listener}",
        "inter.broker.listener.name": "INNER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.folder / "data"),
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.min.isr": "1",
        # A broker that is killed is declared gone after this; 9 s is the default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    for name in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        made[f"{name}.replication.factor"] = str(nodes)
    return made | {"share.coordinator.state.topic.min.isr": "1"}
