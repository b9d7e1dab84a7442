"""SourceService and pictures of pages: who may ask, what is on record, and what the worker then does, on a real
database."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image
from sqlalchemy import func, select

from rag_assets.connectors import connector_context, open_connector
from rag_assets.source_admin import parse_definition, render_definition
from rag_assets.source_admin.definition import restrict_definition
from rag_assets.source_admin.operations import carry_out
from rag_core.content.sources import Scope, SecretRef, operation_store
from rag_core.database import Store, open_store
from rag_core.database.tables.content import documents, sources
from rag_core.database.tables.operations import audit, source_operations
from rag_core.errors import PermissionDenied, Reason
from rag_core.ingestion.pipeline import Pipeline, run_pipeline
from rag_core.settings import Settings
from ragproto.admin.v1 import sources_pb2 as pb
from ragproto.admin.v1 import sources_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2 as query
from ragproto.query.v2 import query_pb2_grpc as query_rpc
from tests.support.query_server import RunningServer, failing, running
from tests.unit.rag_core.content.parsing.test_pages import LINES, page_of

PLATFORM, ADMIN = ["admin", "platform.admin"], ["admin"]


class Desk:
    """The service as its callers see it, and the worker, whose turn a test takes itself."""

    def __init__(self, server: RunningServer, pipeline: Pipeline, folder: Path) -> None:
        self.server, self.pipeline, self.folder = server, pipeline, folder
        self.stub = rpc.SourceServiceStub(server.channel)
        self.drawn = 0

    def start(self, action: pb.SourceAction, scopes: list[str], tenant: str = "acme", **fields: Any) -> int:
        request = pb.StartSourceOperationRequest(action=action, source=fields.pop("source", "docs"), **fields)
        made = self.stub.StartSourceOperation(request, metadata=self.server.auth(tenant=tenant, scopes=scopes))
        return int(made.operation.id)

    def get(self, number: int, scopes: list[str] = PLATFORM, tenant: str = "acme") -> pb.SourceOperation:
        request = pb.GetSourceOperationRequest(id=number)
        return self.stub.GetSourceOperation(request, metadata=self.server.auth(tenant=tenant, scopes=scopes)).operation

    def do(self, action: pb.SourceAction, scopes: list[str], **fields: Any) -> pb.SourceOperation:
        number = self.start(action, scopes, **fields)
        with self.store.engine.begin() as connection:
            claimed = operation_store.claim(connection)
            assert claimed is not None
            assert claimed[0] == number
            operation = operation_store.get(connection, number)
        carry_out(self.pipeline, operation)
        return self.get(number, scopes)

    def page(self, doc_id: str, page: int = 1, start: int = 0, end: int = 30, **claims: Any) -> query.GetPageResponse:
        """A page, drawn by the worker where it has not been before."""
        stub = query_rpc.QueryServiceStub(self.server.channel)
        request = query.GetPageRequest(doc_id=doc_id, page=page, start=start, end=end)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(stub.GetPage, request, metadata=self.server.auth(**claims), timeout=120)
            while wait([asked], 0.05).not_done:
                with self.store.engine.begin() as connection:
                    claimed = operation_store.claim(connection, pages=True)
                    operation = operation_store.get(connection, claimed[0]) if claimed else None
                if operation is not None:
                    self.drawn += 1
                    carry_out(self.pipeline, operation)
            return asked.result()

    @property
    def store(self) -> Store:
        return self.pipeline.store


def definition(root: Path, tenant: str = "acme") -> str:
    options = {"kind": "folder", "root": str(root)}
    return render_definition({"name": "docs", "tenant": tenant, "acl": ["everyone"], "options": options})


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "pump.md").write_text("# Pump 7\n\nPump 7 needs oil every three weeks.\n")
    allowances = {"acme": {"roots": [str(folder)]}}
    settings = Settings(
        home=tmp_path / "home", database_url=database_url, embedder="fake", sources_dir=tmp_path / "sources",
        source_allowances=allowances,
    )  # fmt: skip
    with (
        Pipeline(settings) as pipeline,
        running(tmp_path / "server", open_store=lambda: pipeline.store, source_allowances=allowances) as server,
    ):
        yield Desk(server, pipeline, folder)


def test_a_source_is_checked_previewed_created_changed_and_deleted(desk: Desk) -> None:
    text = definition(desk.folder)
    assert desk.do(pb.SOURCE_ACTION_CHECK, ADMIN, definition=text).check.ok
    preview = desk.do(pb.SOURCE_ACTION_PREVIEW, ADMIN, definition=text).preview
    assert [(item.title, item.ok) for item in preview.items] == [("Pump 7", True)]
    assert "needs oil" in preview.chunks[0].text
    made = desk.do(pb.SOURCE_ACTION_CREATE, ADMIN, definition=text).file
    assert (made.name, made.written) == ("docs.yaml", True)
    with desk.store.engine.connect() as connection:
        assert connection.scalars(select(sources.c.name)).all() == ["docs"]
    _run(desk)
    with desk.store.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(documents)) == 1
    changed = text.replace("everyone", "group:staff")
    updated = desk.do(pb.SOURCE_ACTION_UPDATE, ADMIN, definition=changed, digest=made.digest).file
    assert updated.text == restrict_definition(changed), "the tenant's lists apply in every run"
    stale = desk.do(pb.SOURCE_ACTION_UPDATE, ADMIN, definition=text, digest=made.digest)
    assert (stale.state, stale.reason) == (pb.SOURCE_OPERATION_STATE_FAILED, "SOURCE_CHANGED")
    counted = desk.do(pb.SOURCE_ACTION_DELETE, ADMIN, dry_run=True).removal
    assert (counted.found.documents, counted.file) == (1, "docs.yaml")
    receipt = desk.do(pb.SOURCE_ACTION_DELETE, ADMIN, reason="withdrawn").removal
    assert (receipt.found.documents, receipt.left.documents, receipt.left.chunks, receipt.applied) == (1, 0, 0, True)
    assert not list((desk.pipeline.settings.effective_sources_dir).glob("*.yaml"))
    with desk.store.engine.connect() as connection:
        assert connection.scalars(select(sources.c.name)).all() == []
        live = select(func.count()).select_from(documents).where(documents.c.deleted_at.is_(None))
        assert connection.scalar(live) == 0
        actions = connection.scalars(select(audit.c.action).order_by(audit.c.id)).all()
    assert [action for action in actions if action.startswith("source.")] == [
        *("source.check", "source.preview", "source.create", "source.update", "source.update"),
        *("source.delete", "source.delete", "source.removed"),
    ]


def _run(desk: Desk, acl: str = "everyone") -> None:
    config = parse_definition(definition(desk.folder).replace("everyone", acl))
    desk.pipeline.ensure_generation()
    with open_connector(config, connector_context(config, desk.pipeline.settings)) as connector:
        run_pipeline(desk.pipeline, Scope(config.source, "run-1"), connector=connector)


def test_callers_see_which_deletions_are_held(desk: Desk) -> None:
    metadata = desk.server.auth(scopes=ADMIN)
    permissions = desk.stub.GetSourcePermissions(pb.GetSourcePermissionsRequest(), metadata=metadata)
    assert (permissions.delete_guard_fraction, permissions.delete_guard_minimum) == (0.2, 6)


def test_the_kinds_installed_where_connectors_run_are_listed_with_their_forms(desk: Desk) -> None:
    found = {kind.name: kind for kind in desk.do(pb.SOURCE_ACTION_KINDS, ADMIN).kinds.kinds}
    page = next(card for card in found["site"].cards if card.name == "page")
    assert (found["site"].package, page.location, page.fixed["max_pages"]) == ("rag-platform", "seeds", 1)
    driver, host = found["sql"].cards[0].fields[:2]
    assert (list(driver.choices), host.only_path, host.required) == (
        ["postgresql", "mysql", "sqlite"], "database.driver", True
    )  # fmt: skip
    assert found["topic"].stream


def test_a_tenant_without_allow_lists_adds_nothing(desk: Desk) -> None:
    refused = failing(
        lambda: desk.start(pb.SOURCE_ACTION_CREATE, ADMIN, tenant="other", definition=definition(desk.folder, "other"))
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SOURCE_NOT_ALLOWED")
    with desk.store.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(source_operations)) == 0


def test_an_administrator_stays_within_the_allow_lists_and_a_platform_administrator_need_not(
    desk: Desk, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for action in (pb.SOURCE_ACTION_CHECK, pb.SOURCE_ACTION_PREVIEW, pb.SOURCE_ACTION_CREATE):
        ended = desk.do(action, ADMIN, definition=definition(elsewhere))
        assert (ended.state, ended.reason) == (pb.SOURCE_OPERATION_STATE_FAILED, "SOURCE_NOT_ALLOWED")
    other = desk.do(pb.SOURCE_ACTION_CREATE, ADMIN, definition=definition(desk.folder, "other"))
    assert other.reason == "SOURCE_NOT_ALLOWED"
    assert not list(desk.pipeline.settings.effective_sources_dir.glob("*.yaml"))
    (elsewhere / "a.md").write_text("# A\n\nText.\n")
    made = desk.do(pb.SOURCE_ACTION_CREATE, PLATFORM, definition=definition(elsewhere, "other"))
    assert made.state == pb.SOURCE_OPERATION_STATE_SUCCEEDED
    for action in (pb.SOURCE_ACTION_READ, pb.SOURCE_ACTION_DELETE):
        assert desk.do(action, ADMIN).reason == "SOURCE_NOT_FOUND", "another tenant's source"


def test_a_source_is_browsed_before_it_is_complete_within_the_allow_lists(desk: Desk, tmp_path: Path) -> None:
    (desk.folder / "manuals").mkdir()
    text = definition(desk.folder).replace(f"    root: {desk.folder}\n", "")
    top = desk.do(pb.SOURCE_ACTION_BROWSE, ADMIN, definition=text)
    assert [offer.value for offer in top.offers.offers] == [str(desk.folder)]
    found = desk.do(pb.SOURCE_ACTION_BROWSE, ADMIN, definition=definition(desk.folder)).offers
    assert ([offer.value for offer in found.offers], found.sample) == ([str(desk.folder / "manuals")], "pump.md")
    refused = desk.do(pb.SOURCE_ACTION_BROWSE, ADMIN, definition=definition(tmp_path))
    assert (refused.state, refused.reason) == (pb.SOURCE_OPERATION_STATE_FAILED, "SOURCE_NOT_ALLOWED")
    assert str(desk.folder) in [
        offer.value
        for offer in desk.do(pb.SOURCE_ACTION_BROWSE, PLATFORM, definition=definition(tmp_path)).offers.offers
    ]


@pytest.mark.catalogue("A24")
def test_a_folder_that_leads_elsewhere_after_its_source_was_made_is_refused_in_its_runs(
    desk: Desk, tmp_path: Path
) -> None:
    inner, other = desk.folder / "docs", tmp_path / "other"
    for folder in (inner, other):
        folder.mkdir()
        (folder / "a.md").write_text(f"# Of {folder.name}\n\nText.\n")
    made = desk.do(pb.SOURCE_ACTION_CREATE, ADMIN, definition=definition(inner)).file
    inner.rename(tmp_path / "before")
    inner.symlink_to(other)
    config, settings = parse_definition(made.text), desk.pipeline.settings
    with pytest.raises(PermissionDenied) as refused:
        connector_context(config, settings)
    assert refused.value.reason is Reason.SOURCE_NOT_ALLOWED
    for action in (pb.SOURCE_ACTION_CHECK, pb.SOURCE_ACTION_PREVIEW):
        assert desk.do(action, ADMIN, definition=made.text).reason == "SOURCE_NOT_ALLOWED"
    free = desk.do(pb.SOURCE_ACTION_UPDATE, PLATFORM, definition=definition(inner), digest=made.digest).file
    assert free.text == definition(inner), "what a platform administrator writes is not limited"
    connector_context(parse_definition(free.text), settings)


def test_a_folder_that_does_not_exist_is_refused_even_unchecked(desk: Desk, tmp_path: Path) -> None:
    ended = desk.do(pb.SOURCE_ACTION_CREATE, PLATFORM, definition=definition(tmp_path / "absent"), unchecked=True)
    assert (ended.state, ended.reason) == (pb.SOURCE_OPERATION_STATE_FAILED, "SOURCE_UNAVAILABLE")


def test_in_a_read_only_folder_it_says_what_to_commit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_assets.source_admin.files.os.access", lambda path, mode: False)  # root may write anywhere
    made = desk.do(pb.SOURCE_ACTION_CREATE, PLATFORM, definition=definition(desk.folder)).file
    assert (made.name, made.written, made.text) == ("docs.yaml", False, definition(desk.folder))
    assert not list(desk.pipeline.settings.effective_sources_dir.glob("*.yaml"))


def test_an_operation_is_its_tenants_own(desk: Desk) -> None:
    number = desk.start(pb.SOURCE_ACTION_CHECK, PLATFORM, definition=definition(desk.folder))
    missing = failing(lambda: desk.get(number, tenant="other"))
    assert missing.reason == "SOURCE_OPERATION_NOT_FOUND"


def test_a_tenant_holds_only_so_many_open_operations(desk: Desk) -> None:
    text = definition(desk.folder)
    for _ in range(operation_store.MAX_OPEN_OF_TENANT):
        desk.start(pb.SOURCE_ACTION_CHECK, ADMIN, definition=text)
    assert failing(lambda: desk.start(pb.SOURCE_ACTION_CHECK, ADMIN, definition=text)).reason == "OVERLOADED"
    desk.start(pb.SOURCE_ACTION_CHECK, PLATFORM, tenant="other", definition=text)
    with desk.store.engine.begin() as connection:
        first, second = operation_store.claim(connection), operation_store.claim(connection)
        assert first is not None
        assert second is not None
        of = [operation_store.get(connection, number).tenant for number, _ in (first, second)]
    assert of == ["acme", "other"], "one tenant does not hold every place"


def test_an_operation_that_no_worker_takes_fails_in_time(desk: Desk) -> None:
    number = desk.start(pb.SOURCE_ACTION_CHECK, ADMIN, definition=definition(desk.folder))
    with desk.store.engine.begin() as connection:
        operation_store.clean_up(connection, seconds=-1)
    assert desk.get(number).reason == "SOURCE_OPERATION_TIMEOUT"


# --------------------------------------------------------------------------------------------------------------------
# Credentials of sources, which are written and never read.

HIDDEN = "pass phrase of the shop"


def secret(desk: Desk, method: str, scopes: list[str] = ADMIN, **fields: Any) -> Any:
    request = getattr(pb, f"{method}SourceSecret{'s' if method == 'List' else ''}Request")(**fields)
    call = getattr(desk.stub, f"{method}SourceSecret{'s' if method == 'List' else ''}")
    return call(request, metadata=desk.server.auth(scopes=scopes))


@pytest.fixture
def shared_home(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The desk of a server whose processes share a RAG_HOME, and of a tenant with secrets of its own."""
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    allowances = {"acme": {"roots": [str(desk.folder)], "secrets": ["env:RAG_SECRET_ACME_*"]}}
    settings = desk.pipeline.settings
    with running(tmp_path / "other", open_store=lambda: open_store(settings), source_allowances=allowances,
                 home_shared=True) as server:  # fmt: skip
        yield Desk(server, desk.pipeline, desk.folder)


@pytest.mark.catalogue("S26")
def test_a_credential_is_written_used_at_once_listed_by_name_and_removed(shared_home: Desk, tmp_path: Path) -> None:
    desk, reference = shared_home, SecretRef(env="RAG_SECRET_ACME_SHOP")
    made = secret(desk, "Set", name="acme-shop", value=HIDDEN, reason="new shop")
    assert (made.name, reference.read().get_secret_value()) == ("RAG_SECRET_ACME_SHOP", HIDDEN)
    secret(desk, "Set", PLATFORM, name="other", value="x")
    assert list(secret(desk, "List").names) == ["RAG_SECRET_ACME_SHOP"], "another tenant's are not named"
    assert list(secret(desk, "List", PLATFORM).names) == ["RAG_SECRET_ACME_SHOP", "RAG_SECRET_OTHER"]
    with desk.store.engine.connect() as connection:
        stored = str(connection.execute(select(audit)).all())
    assert "source_secret.set" in stored
    assert HIDDEN not in stored + "".join(path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    secret(desk, "Remove", name="RAG_SECRET_ACME_SHOP")
    assert not secret(desk, "List").names
    assert failing(lambda: secret(desk, "Remove", name="acme-shop")).reason == "SECRET_MISSING"


@pytest.mark.parametrize(("fields", "reason"), [
    ({"name": "other", "value": "x"}, "SOURCE_NOT_ALLOWED"), ({"name": "../acme", "value": "x"}, "FIELD_INVALID"),
    ({"name": "acme-shop", "value": ""}, "FIELD_INVALID"), ({"name": "", "value": "x"}, "FIELD_INVALID"),
    ({"name": "acme-shop", "value": "x" * 65_537}, "FIELD_INVALID"),
])  # fmt: skip
def test_a_credential_that_the_caller_may_not_name_or_that_is_none_is_refused(
    shared_home: Desk, fields: dict[str, str], reason: str
) -> None:
    assert failing(lambda: secret(shared_home, "Set", **fields)).reason == reason
    assert not secret(shared_home, "List", PLATFORM).names


def test_where_no_home_is_shared_credentials_are_kept_elsewhere(desk: Desk) -> None:
    assert not secret(desk, "List", PLATFORM).can_store
    refused = failing(lambda: secret(desk, "Set", PLATFORM, name="shop", value=HIDDEN))
    assert (refused.reason, "Secret" in refused.message) == ("CONFIG_INVALID", True)
    assert failing(lambda: secret(desk, "List", ["ops.read"])).reason == "SCOPE_MISSING"


# --------------------------------------------------------------------------------------------------------------------
# Pages of documents as pictures.


@pytest.fixture
def manual(desk: Desk) -> str:
    """The id of a PDF that everyone in the tenant may read, in a source of the desk."""
    (desk.folder / "manual.pdf").write_bytes(page_of(*LINES))
    assert desk.do(pb.SOURCE_ACTION_CREATE, ADMIN, definition=definition(desk.folder)).file.written
    _run(desk)
    with desk.store.engine.connect() as connection:
        found = connection.scalar(select(documents.c.doc_id).where(documents.c.locator == "manual.pdf"))
    return str(found)


def test_a_cited_page_comes_as_a_picture_with_the_span_marked_and_is_drawn_once(desk: Desk, manual: str) -> None:
    with desk.store.engine.connect() as connection:
        text = connection.scalar(select(documents.c.text).where(documents.c.locator == "manual.pdf")) or ""
    start = text.index("Deletions")
    page = desk.page(manual, start=start, end=text.index("Nothing"))
    assert (page.page, page.pages, page.version, page.media_type, len(page.marks)) == (1, 2, 1, "image/jpeg", 3)
    assert Image.open(io.BytesIO(page.image)).size == (page.width, page.height)
    assert desk.page(manual, start=start, end=text.index("Nothing")) == page
    assert desk.drawn == 1
    with desk.store.engine.connect() as connection:
        requests = connection.scalars(select(source_operations.c.request)).all()
        assert "Deletions" not in str(requests), "a request names a span and does not quote it"
        assert "source.page" not in connection.scalars(select(audit.c.action)).all()
        [number] = connection.scalars(select(source_operations.c.id).where(source_operations.c.action == "page"))
    assert failing(lambda: desk.get(number)).reason == "SOURCE_OPERATION_NOT_FOUND", "administrators see no picture"


def test_a_page_is_for_those_who_may_see_the_document_also_when_it_was_drawn_before(desk: Desk, manual: str) -> None:
    desk.page(manual)
    assert failing(lambda: desk.page(manual, tenant="other")).reason == "DOCUMENT_NOT_FOUND"
    _run(desk, "group:staff")
    hidden = failing(lambda: desk.page(manual))
    assert (hidden.code, hidden.reason) == (grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND")
    assert desk.page(manual, groups=["staff"]).pages == 2


def test_what_cannot_be_shown_is_refused_by_its_reason(desk: Desk, manual: str) -> None:
    with desk.store.engine.connect() as connection:
        note = str(connection.scalar(select(documents.c.doc_id).where(documents.c.locator == "pump.md")))
    beyond = failing(lambda: desk.page(manual, 3))
    assert (beyond.code, beyond.reason) == (grpc.StatusCode.NOT_FOUND, "PAGE_NOT_FOUND")
    assert "has 2" in beyond.message
    assert failing(lambda: desk.page(note)).reason == "PAGES_UNSUPPORTED"
    for page, start, end in ((0, 0, 0), (1, 5, 4), (1, -1, 4)):
        assert failing(lambda: desk.page(manual, page, start, end)).reason == "FIELD_INVALID"  # noqa: B023  called here
    assert failing(lambda: desk.page("no-uuid")).code == grpc.StatusCode.INVALID_ARGUMENT
    (desk.folder / "manual.pdf").write_bytes(page_of("Something else."))
    changed = failing(lambda: desk.page(manual))
    assert (changed.code, changed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORIGINAL_CHANGED")
    (desk.folder / "manual.pdf").unlink()
    assert failing(lambda: desk.page(manual)).reason == "ORIGINAL_NOT_FOUND", "a failure is not kept"


def test_pictures_and_operations_of_administrators_do_not_wait_for_each_other(desk: Desk, manual: str) -> None:
    with desk.store.engine.begin() as connection:
        for number in range(operation_store.MAX_OPEN_OF_TENANT):
            desk.start(pb.SOURCE_ACTION_CHECK, ADMIN, definition=definition(desk.folder))
            assert (operation_store.claim(connection) is not None) == (number == 0)
    assert desk.page(manual).pages == 2
    with desk.store.engine.begin() as connection:
        operation_store.clean_up(connection, seconds=60)
        kept = select(func.count()).select_from(source_operations).where(source_operations.c.action == "page")
        assert connection.scalar(kept) == 1
