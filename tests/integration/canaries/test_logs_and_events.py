"""No secret and no content in logs, Dagster's events and error texts, whatever raises wherever they are in scope.

What raises is a library that we call: it has the canaries in its local variables and quotes them in its message, as
parsers, drivers and models do.
"""

from __future__ import annotations

import json
import threading
import traceback
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg
import grpc
import pytest
from google.protobuf import descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

import rag_core.logging
from query_server.auth.policies import POLICIES
from rag_assets.definitions import build_definitions
from rag_assets.resources import PIPELINE
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.parsing import ParsedDocument, open_parser
from rag_core.database import Store
from rag_core.database import open_store as open_real_store
from rag_core.errors import RagError
from rag_core.retrieval.index import VectorIndex
from rag_core.settings import Settings
from ragctl.app import run as run_command
from tests.support.methods import public_methods
from tests.support.pipeline import PipelineHarness
from tests.support.query_server import GENERATION, INDEX_SECRET, Doc, RunningServer, running
from tests.support.stream import Failing, StreamHarness
from tests.unit.rag_assets.definitions.conftest import attributes, docs, sources_dir, write_source

__all__ = ["attributes", "docs", "sources_dir", "write_source"]
TEXT = "CANARY-text-91c4"
SECRET = "CANARY-secret-5be0"
CANARIES = (TEXT, SECRET, INDEX_SECRET)


def explode(*values: object, **named: object) -> Any:
    """What a library does that meets something it cannot take."""
    secret = SECRET
    raise RuntimeError(f"cannot take {values} {named} with {secret}, {TEXT} and {INDEX_SECRET}")


class Exploding:
    """Every use of it raises."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return explode(name)

    def close(self) -> None:
        """Nothing was opened."""


def assert_clean(*shown: object) -> None:
    for one in shown:
        for canary in CANARIES:
            assert canary not in str(one)


@pytest.fixture(autouse=True)
def _logs_are_printed() -> None:
    rag_core.logging.use_safe_defaults()


# --- every RPC ------------------------------------------------------------------------------------------------


class BrokenEmbedder(FakeEmbedder):
    embed_queries = explode


class BrokenIndex:
    """Opens, and fails at whatever is asked of it."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def alias(self) -> str:
        return GENERATION

    def generations(self) -> Any:
        return self._index.generations()

    def fetch(self, generation: str, ids: Sequence[uuid.UUID]) -> Any:
        """Works for the probe of readiness alone, which asks for a point that does not exist."""
        return self._index.fetch(generation, ids) if ids == [uuid.UUID(int=0)] else explode("fetch", generation, ids)

    def close(self) -> None:
        self._index.close()

    def __getattr__(self, name: str) -> Any:
        return lambda *values, **named: explode(name, *values, **named)


_VALID = {
    "doc_id": str(uuid.uuid4()),
    "right_doc_id": str(uuid.uuid4()),
    "source": "handbook",
    "state": "proposed",
    "helpful": True,
    "generation": GENERATION,
    "action": "dagster.retry",
    "id": 1,
    "page": 1,
    "name": "g-2",
    "confirm_name": "g-2",
    "deployment": 1,
    "media_type": "text/plain",
    "content": TEXT.encode(),
    "answerer": "extractive",
    "role": "viewer",
}


def request_of(method: descriptor.MethodDescriptor) -> Message:
    """A request that gets as far as possible, with the canary wherever there is room for text."""
    message: Any = GetMessageClass(method.input_type)()
    _fill(message, method)
    made: Message = message
    return made


def _fill(message: Any, method: descriptor.MethodDescriptor) -> None:
    fields = {field.name: field for field in method.input_type.fields}
    if "locator" in fields:
        fields.pop("doc_id", None)
    for name, field in fields.items():
        if name in ("page_token", "resume_token", "filter", "idempotency_key", "span"):
            continue
        if name in ("ids", "entry_ids"):
            message.ids.append(1)
        elif name == "scopes":
            message.scopes.append("query.read")
        elif name == "searches":
            message.searches.add(query=TEXT)
        elif name == "name" and method.name.endswith("SourceSecret"):
            message.name = "shop"
        elif field.message_type:
            _fill_inner(getattr(message, name), field.message_type)
        elif field.enum_type and not field.is_repeated:
            setattr(message, name, 1)
        elif name in _VALID and not field.is_repeated:
            text = field.type == descriptor.FieldDescriptor.TYPE_STRING
            setattr(message, name, str(_VALID[name]) if text else _VALID[name])
        elif field.type == descriptor.FieldDescriptor.TYPE_STRING and not field.is_repeated:
            setattr(message, name, TEXT)


def _fill_inner(message: Any, kind: descriptor.Descriptor) -> None:
    if "query" in kind.fields_by_name:
        message.query = TEXT
    elif "questions" in kind.fields_by_name:
        message.questions.append(TEXT)
        message.action, message.answer = 1, TEXT
    elif kind.full_name == "ragproto.directories.v1.Entry":
        message.kind, message.name, message.attributes = 1, TEXT, json.dumps({"displayName": TEXT})
    elif kind.full_name == "google.protobuf.Struct":  # an event of a bucket
        message.update({"Records": [{"s3": {"bucket": {"name": TEXT}, "object": {"key": TEXT}}}]})


def fail(server: RunningServer, method: descriptor.MethodDescriptor) -> tuple[grpc.StatusCode, str]:
    """The code of a call, and all that its caller sees of the failure."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    make = server.channel.unary_stream if method.server_streaming else server.channel.unary_unary
    request = request_of(method)
    decode: Any = GetMessageClass(method.output_type).FromString
    call = make(path, request_serializer=type(request).SerializeToString, response_deserializer=decode)
    scopes = sorted({policy.scope for policy in POLICIES.values()})
    try:
        result = call(request, metadata=server.auth(scopes=scopes), timeout=20)
        answer = [*result] if method.server_streaming else [result]
    except grpc.RpcError as error:
        return (
            error.code(),
            f"{error.details()} {rpc_status.from_call(cast(grpc.Call, error))} {error.trailing_metadata()}",
        )
    # What a caller wrote may be in its own answer.
    return grpc.StatusCode.OK, str(answer).replace(TEXT, "")


@pytest.mark.catalogue("A09")
def test_every_rpc_fails_without_a_word_of_what_was_in_scope(
    tmp_path: Path, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = {"embedder": BrokenEmbedder()}
    calling = threading.Event()

    def open_store() -> Store:
        # The pollers have opened theirs; the audit trail, which writes beside the calls, may not open it for them.
        if calling.is_set():
            explode("the database")
        return open_real_store(Settings(home=tmp_path, database_url=database_url))

    options: dict[str, Any] = {"open_store": open_store, "parts": parts, "logged": True, "home_shared": True}
    with running(tmp_path, docs=[Doc(TEXT)], wrap=BrokenIndex, **options) as server:
        calling.set()
        outcomes = {method.name: fail(server, method) for method in public_methods()}
        calling.clear()
    assert_clean(*(shown for _, shown in outcomes.values()), capfd.readouterr())
    failed = {name for name, (code, _) in outcomes.items() if code is grpc.StatusCode.INTERNAL}
    spared = {name: outcomes[name] for name in set(outcomes) - failed}
    assert set(spared) == {"WhoAmI", "GetSourcePermissions", "ListAnswerers", "ListSourceSecrets"}, spared


# --- every asset, check, op, sensor and schedule --------------------------------------------------------------


@pytest.fixture
def definitions(tmp_path: Path, sources_dir: Path, docs: Path, write_source: Any) -> dg.Definitions:
    (docs / "a.md").write_text(TEXT)
    write_source("a.yaml", freshness_minutes=60, schedule={"cron": "0 3 * * *"}, sensor={"interval_seconds": 30})
    settings = Settings.load(home=tmp_path / "home", sources_dir=sources_dir, index_secret=SECRET)
    broken = dg.Definitions(resources={PIPELINE: dg.ResourceDefinition.hardcoded_resource(Exploding())})
    made = build_definitions(settings)
    resources = {**(made.resources or {}), **(broken.resources or {})}
    return dg.Definitions(
        assets=made.assets,
        asset_checks=made.asset_checks,
        jobs=made.jobs,
        sensors=made.sensors,
        schedules=made.schedules,
        resources=resources,
        executor=dg.in_process_executor,
    )


_CONFIG = {
    "declare_generation": {"config": {}},
    "roll_back": {"config": {}},
    "retire_generation": {"config": {"generation": "g-1"}},
}


def _events(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(repr(record) for record in instance.all_logs(run_id))


@pytest.mark.catalogue("A09")
def test_every_job_fails_without_a_word_in_dagsters_event_log(
    definitions: dg.Definitions, capfd: pytest.CaptureFixture[str]
) -> None:
    repository = definitions.get_repository_def()
    failed = set()
    with dg.DagsterInstance.ephemeral() as instance:
        keys = sorted(repository.asset_graph.materializable_asset_keys)
        for key in keys:
            node = repository.asset_graph.get(key)
            partition = None
            if node.partitions_def is not None:
                assert isinstance(node.partitions_def, dg.DynamicPartitionsDefinition)
                partition = "g-1/acme/handbook/0"
                instance.add_dynamic_partitions(str(node.partitions_def.name), [partition])
            job = repository.get_implicit_job_def_for_assets([key])
            assert job is not None
            result = job.execute_in_process(
                instance=instance,
                partition_key=partition,
                asset_selection=[key],
                raise_on_error=False,
            )
            assert not result.success, key
            failed.add(key)
            assert_clean(_events(instance, result.run_id))
        for job in repository.get_all_jobs():
            names = {node.name for node in job.nodes}
            if job.name.startswith("__") or not names <= {*_CONFIG, "drain_streams"}:
                continue
            ops = {name: _CONFIG[name] for name in names & set(_CONFIG)}
            result = job.execute_in_process(instance=instance, run_config={"ops": ops}, raise_on_error=False)
            assert not result.success, job.name
            assert_clean(_events(instance, result.run_id))
    assert failed == set(keys)
    assert_clean(capfd.readouterr())


def test_every_check_sensor_and_schedule_fails_without_a_word(
    definitions: dg.Definitions, capfd: pytest.CaptureFixture[str]
) -> None:
    repository = definitions.get_repository_def()
    failed = []
    with dg.DagsterInstance.ephemeral() as instance:
        for checks in {id(made): made for made in repository.asset_checks_defs_by_key.values()}.values():
            (asset,) = {key.asset_key for key in checks.check_keys}
            job = repository.get_implicit_job_def_for_assets([asset])
            assert job is not None
            if repository.asset_graph.get(asset).partitions_def is not None:
                continue  # the gate of a generation: its body is that of the assets beside it
            only = job.get_subset(asset_selection=set(), asset_check_selection=set(checks.check_keys))
            result = only.execute_in_process(instance=instance, raise_on_error=False)
            assert not result.success, asset
            failed.append(asset)
            assert_clean(_events(instance, result.run_id))
        assert len(failed) == 1  # one step has all checks of a source
        for sensor in repository.sensor_defs:
            context = dg.build_sensor_context(
                instance=instance, definitions=definitions, resources={PIPELINE: Exploding()}
            )
            with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it is what a tick keeps
                sensor.evaluate_tick(context)
            assert_clean("".join(traceback.format_exception(caught.value)))
    assert_clean(capfd.readouterr())


# --- every stage and the stream worker ------------------------------------------------------------------------


class BrokenParser:
    """The real parser's identity and a library that raises."""

    def __init__(self, settings: Settings) -> None:
        self._real = open_parser(settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def parse(self, raw: object) -> ParsedDocument:
        explode(raw)
        raise AssertionError


@pytest.mark.parametrize("broken", ["parser", "chunker"])
def test_a_stage_quarantines_what_its_library_cannot_take_without_a_word_of_it(
    flow: PipelineHarness, capfd: pytest.CaptureFixture[str], broken: str
) -> None:
    flow.connector.put("a.md", f"{TEXT} in a text of some words")
    if broken == "parser":
        flow.parser = BrokenParser(flow.settings)
    else:
        real = flow.chunker
        flow.chunker = type("Broken", (), {"fingerprint": real.fingerprint, "chunk": staticmethod(explode)})()
    flow.run()
    (row,) = flow.quarantined().values()
    shown = capfd.readouterr()
    assert "RuntimeError" in shown.err
    assert_clean(row, shown)


@pytest.mark.parametrize("broken", ["parser", "embedder", "index"])
def test_the_stream_worker_gives_up_on_a_change_without_a_word_of_it(
    settings: Settings, store: Store, flow: PipelineHarness, capfd: pytest.CaptureFixture[str], broken: str
) -> None:
    changed = settings.model_copy(update={"stream_attempts": 1})
    stream = StreamHarness(store, flow.index, flow.parser, changed)
    if broken == "parser":
        stream.parser = BrokenParser(settings)
    elif broken == "embedder":
        stream.embedder.embed_passages = explode  # type: ignore[method-assign]
    else:
        failing = Failing(flow.index)
        failing.error = RuntimeError(f"{TEXT} {SECRET}")
        stream.index = failing
    stream.__post_init__()
    shown: list[object] = []
    stream.push("a.txt", f"{TEXT} in a text of some words")
    try:
        consumer_loop = stream.consumer_loop()
        while batch := consumer_loop.source.poll(0):
            consumer_loop.process(batch)
    except RagError as error:
        shown.append(str(error))
    finally:
        stream.close()
    letters = stream.all("SELECT reason, message FROM rag.dead_letters")
    quarantined = stream.all("SELECT reason, message FROM rag.quarantine")
    logged = capfd.readouterr()
    assert "RuntimeError" in logged.err
    assert_clean(letters, quarantined, logged, *shown)


# --- the command line -----------------------------------------------------------------------------------------


def test_a_command_that_meets_a_defect_names_its_place_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Settings, "load", explode)
    assert run_command(["audit", "list"]) == 1
    shown = capfd.readouterr()
    assert "rag: INTERNAL: RuntimeError" in shown.err
    assert "audit.py" in shown.err
    assert_clean(shown)
