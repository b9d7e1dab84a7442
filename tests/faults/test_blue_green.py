"""Blue/green on a whole stack under load: switches and rollbacks that nobody notices, bad releases that get nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from benchmarks.ports import free_port
from rag_core.database import open_store
from rag_core.governance.audit import DeploymentState
from rag_core.settings import Settings
from ragctl.gateway.colours import Release
from ragctl.local_stack.data_dir import DataDir
from ragctl.rollout.service import Deployments, DeployRequest
from ragctl.rollout.targets.local import LocalTarget
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.support.bad_release import make_interpreter
from tests.support.deploy_contract import check_target
from tests.support.local_stack import RAG, LocalStack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

SWITCHES = int(os.environ.get("BLUE_GREEN_SWITCHES", "50"))
CALLS_A_SECOND = 50
CALLERS = 10
BLUE_RESULTS, GREEN_RESULTS = 10, 5
"""Passages that each colour's default setting returns: an answer tells which colour gave it."""
ROLLBACK_SECONDS = 5.0


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    quick = {"DEPLOY_WATCH_SECONDS": "1", "DEPLOY_STEPS": "50,100", "DEPLOY_LATENCY_SECONDS": "4"}
    green = {"GREEN_PORTS": f"{free_port()}/{free_port()}"}
    running = LocalStack(extra={"EMBEDDER": "fake", "DEPLOY_BURST_REQUESTS": "40", **quick, **green})
    for number in range(20):
        text = f"# Machine {number}\n\nThe machine number {number} is kept in hall {number * 3}.\n"
        (running.docs / f"{number:02}.md").write_text(text, "utf-8")
    golden = running.home / "golden" / "own"
    golden.mkdir(parents=True)
    write_golden(golden)
    code, printed = running.rag("up", "--docs", str(running.docs), seconds=600)
    assert code == 0, printed
    yield running
    running.close()


def write_golden(folder: Path) -> None:
    names = [f"{number:02}" for number in range(20)]
    lines = {
        "corpus.jsonl": [json.dumps({"_id": f"docs/{name}.md", "title": "", "text": ""}) for name in names],
        "queries.jsonl": [
            json.dumps({"_id": name, "text": f"machine number {int(name)} hall {int(name) * 3}"}) for name in names
        ],
        "qrels.tsv": ["query-id\tcorpus-id\tscore", *(f"{name}\tdocs/{name}.md\t1" for name in names)],
    }
    for file, content in lines.items():
        (folder / file).write_text("\n".join(content) + "\n", "utf-8")


@dataclass
class Load:
    """Searches at a fixed rate through the gateway; what each of them got."""

    stack: LocalStack
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._call, args=(number, stop)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _call(self, number: int, stop: threading.Event) -> None:
        token = (self.stack.home / "secrets" / "dev-token").read_text().strip()
        address = f"127.0.0.1:{self.stack.environment['RAG_GATEWAY_PORT']}"
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            search = query_pb2_grpc.QueryServiceStub(channel).Search
            due = time.monotonic() + number / CALLS_A_SECOND
            while not stop.wait(max(0.0, due - time.monotonic())):
                due += CALLERS / CALLS_A_SECOND
                self.calls += 1
                request = query_pb2.SearchRequest(query=f"machine number {random.randrange(20)} hall")
                try:
                    found = search(request, metadata=[("authorization", f"Bearer {token}")], timeout=10)
                except grpc.RpcError as error:
                    self.failures.append(f"{error.code().name}: {error.details()}")
                else:
                    self._judge(found)

    def _judge(self, found: query_pb2.SearchResponse) -> None:
        size = len(found.passages)
        self.sizes[size] = self.sizes.get(size, 0) + 1
        versions = {passage.locator: set[int]() for passage in found.passages}
        for passage in found.passages:
            versions[passage.locator].add(passage.version)
        if size not in {BLUE_RESULTS, GREEN_RESULTS} or any(len(seen) > 1 for seen in versions.values()):
            self.mixed.append(f"{size} passages of {found.generation}")


@contextmanager
def deployments(stack: LocalStack) -> Iterator[Deployments]:
    """What the commands use, in this process: fifty times a process start would measure those."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            if name.startswith("RAG_"):
                patch.setenv(name, value)
        settings = Settings.load()
    store = open_store(settings)
    yield Deployments.real(store, LocalTarget(settings, DataDir.of(settings)), settings)
    store.close()


@pytest.mark.catalogue("F39", "F41")
def test_fifty_switches_and_rollbacks_at_fifty_calls_a_second_fail_and_mix_nothing(stack: LocalStack) -> None:
    load, rollbacks = Load(stack), []
    with deployments(stack) as known, load.running():
        for number in range(SWITCHES):
            # Every tenth time other settings, so that the servers of the idle colour are really replaced.
            release = Release(
                f"r{number // 10}",
                environment={
                    "RAG_DEFAULT_TOP_K": str(GREEN_RESULTS),
                    "RAG_QUERY_CACHE_ENTRIES": str(100 + number // 10),
                },
            )
            assert (row := known.up(DeployRequest(release, "test"))).state is DeploymentState.READY, row
            assert (row := known.switch("test")).state is DeploymentState.DONE, row
            began = time.monotonic()
            assert (row := known.roll_back("test")).state is DeploymentState.ROLLED_BACK, row
            rollbacks.append(time.monotonic() - began)
    rollbacks.sort()
    print(
        f"\n{load.calls} calls, {len(load.failures)} failed, {len(load.mixed)} mixed, by size {load.sizes}; "
        f"rollback p50 {rollbacks[len(rollbacks) // 2]:.2f} s, worst {rollbacks[-1]:.2f} s"
    )
    assert not load.failures, load.failures[:5]
    assert not load.mixed, load.mixed[:5]
    assert min(load.sizes.get(BLUE_RESULTS, 0), load.sizes.get(GREEN_RESULTS, 0)) > SWITCHES
    assert rollbacks[-1] <= ROLLBACK_SECONDS


@pytest.mark.catalogue("F40")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [("dead", "CANDIDATE_UNHEALTHY"), ("slow", "GREEN_SLOW"), ("wrong", "GREEN_WRONG"), ("silent", "GREEN_SILENT")],
)
def test_a_bad_green_is_refused_and_blue_is_untouched(stack: LocalStack, fault: str, reason: str) -> None:
    python = "/bin/false" if fault == "dead" else make_interpreter(stack.folder, fault)
    command = [RAG, "deploy", "up", "--release", fault, "--python", python]
    load = Load(stack)
    with load.running():
        result = subprocess.run(
            command, env=stack.environment, capture_output=True, text=True, timeout=1500, check=False
        )
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stderr.splitlines()[-1].startswith(f"rag: {reason}: "), result.stderr
    assert not load.failures, load.failures[:5]
    assert load.sizes.keys() == {BLUE_RESULTS}
    _, status = stack.rag("deploy", "status")
    assert {item["name"]: item["weight"] for item in status["colours"]} == {"blue": 100, "green": 0}


def test_the_local_stack_keeps_the_contract_of_targets(stack: LocalStack) -> None:
    with deployments(stack) as known:
        check_target(known.target, Release("r2"), Release("r3", environment={"RAG_QUERY_CACHE_ENTRIES": "7"}))


def test_colours_and_weights_survive_a_kill_of_the_deployer_down_and_up(stack: LocalStack) -> None:
    setting = f"RAG_DEFAULT_TOP_K={GREEN_RESULTS}"
    code, printed = stack.rag("deploy", "up", "--release", "kept", "--set", setting)
    assert code == 0, printed
    # The command dies when the weights have moved and nobody knows it yet; the stack's deployer continues.
    stack.environment["RAG_FAILPOINT"] = "deploy_acted:1:kill"
    code, _ = stack.rag("deploy", "switch")
    del stack.environment["RAG_FAILPOINT"]
    assert code == -9
    deadline = time.monotonic() + 600
    while (newest := stack.rag("deploy", "status")[1]["deployments"][0])["state"] != "done":
        assert time.monotonic() < deadline, newest
    code, printed = stack.rag("down")
    assert code == 0, printed
    code, printed = stack.rag("up", "--docs", str(stack.docs), seconds=600)
    assert code == 0, printed
    code, found = stack.rag("query", "machine number 7", "--search")
    assert (code, len(found["passages"])) == (0, GREEN_RESULTS)
    assert stack.rag("deploy", "rollback")[0] == 0
    assert len(stack.rag("query", "machine number 7", "--search")[1]["passages"]) == BLUE_RESULTS
