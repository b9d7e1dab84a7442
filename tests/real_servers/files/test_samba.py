"""SMB sources against Samba: the contract of connectors, permissions as the server applies them, and people who go."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rag_assets.testing import ConnectorSuite
from rag_core.content.sources import SourceItem
from rag_core.database import open_store
from rag_core.governance.access import EVERYONE
from rag_core.governance.directories import DirectoryEntry, sync
from rag_core.retrieval.index import VectorIndex
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.contract.connectors.test_files import ODD_NAMES, Server
from tests.support.descriptors import PASS, READ, Ace
from tests.support.pipeline import PipelineHarness
from tests.support.query_server import RunningServer, running
from tests.support.samba import FULL, PASSWORD, PEOPLE, WORLD, Samba
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers


@pytest.fixture
def place(samba: Samba, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("RAG_SECRET_FILES", PASSWORD)
    shutil.rmtree(samba.folder / "files" / "suite", ignore_errors=True)
    root = samba.folder / "files" / "suite"
    root.mkdir()
    place = Server(root, samba, samba.options(path="/suite"))

    def lose() -> None:
        samba.stop()
        request.addfinalizer(samba.start)

    place.lose = lose  # type: ignore[method-assign]
    return place


def people(samba: Samba) -> list[DirectoryEntry]:
    """The people as a directory has them, and the groups that Unix gives them."""
    found = [DirectoryEntry(f"user:{name}", (f"sid:{samba.sids[name]}",)) for name in PEOPLE]
    return found + [DirectoryEntry(f"group:{name}", (f"gid:{gid(name)}",), (f"user:{name}",)) for name in PEOPLE]


def gid(name: str) -> int:
    return int(subprocess.run(["id", "-g", name], capture_output=True, text=True, check=True).stdout)


class TestSamba(ConnectorSuite):
    """The suite of every connector, and what shares are."""

    def test_odd_names_are_listed_once_and_read_as_they_are(self, place: Server) -> None:
        odd = [name for name in ODD_NAMES if not set(name) & set('"?')]  # which Windows has no name for
        for name in odd:
            place.put(name, f"text of {name}")
        (place.root / "link").symlink_to("/etc")
        place.put("large.txt", "x" * 200_000)
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            texts = sorted(connector.fetch(item).content.decode() for item in items)
        assert texts == sorted([*(f"text of {name}" for name in odd), "x" * 200_000])

    def test_wrong_passwords_shares_and_servers_are_named(self, place: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        options = place.options
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"share": "none"}, "SOURCE_UNAVAILABLE"),
            ({"path": "/none"}, "SOURCE_UNAVAILABLE"),
            ({"user": "nobody-such"}, "ACCESS_REFUSED"),
            ({"port": 1}, "SOURCE_UNAVAILABLE"),
        ]
        for more, reason in wrong:
            place.options = {**options, **more}
            with self.connect(place) as connector:
                found = connector.check()
            assert (found["ok"], found["error"].partition(":")[0]) == (False, reason), found
        monkeypatch.setenv("RAG_SECRET_FILES", "another-one")
        place.options = options
        with self.connect(place) as connector:
            found = connector.check()
        assert (found["ok"], found["error"].partition(":")[0]) == (False, "ACCESS_REFUSED")
        assert "another-one" not in found["error"]

    def test_nobody_may_read_what_the_server_refuses_them(self, place: Server, samba: Samba) -> None:
        """Generated lists of entries, decided by the server and by their ACL: never wider, and in Windows' own order
        (refusals first) equal."""
        dice = random.Random(37)
        sids = [WORLD, *(samba.sids[name] for name in PEOPLE), *(f"S-1-22-2-{gid(name)}" for name in PEOPLE)]
        files = [f"f{number}.txt" for number in range(24)]
        canonical = set(files[::2])
        for name in files:
            place.put(name, "The text.")
            aces: list[Ace] = [
                (dice.randint(0, 1), dice.choice((0, 0, 0x08, 0x10)), dice.choice((READ, READ, FULL, 0x0012_0116)), one)
                for one in dice.sample(sids, dice.randint(1, 4))
            ]
            samba.protect(f"/suite/{name}", sorted(aces, key=lambda ace: -ace[0]) if name in canonical else aces)
        place.options |= {"directory": "corp", "share_readers": [EVERYONE], "bypass_traverse_checking": True}
        with self.connect(place) as connector:
            acls = {
                item.locator: set(connector.fetch(item).acl or ())
                for item in connector.list_items()
                if isinstance(item, SourceItem)
            }
        decided = set()
        for person in PEOPLE:
            own = {EVERYONE, f"corp/sid:{samba.sids[person]}", f"corp/gid:{gid(person)}"}
            for name in files:
                ours = bool(own & acls[name]) and not {f"deny:{one}" for one in own} & acls[name]
                theirs = samba.may_read(person, f"/suite/{name}")
                assert ours <= theirs, (person, name, acls[name])
                assert ours == theirs or name not in canonical, (person, name, acls[name])
                decided.add((ours, theirs))
        assert decided >= {(True, True), (False, False)}

    def test_folders_above_a_file_count_unless_the_server_passes_everyone_through(
        self, place: Server, samba: Samba
    ) -> None:
        place.put("team/inner/a.txt", "The text.")
        sid = samba.sids["daemon"]
        for path, entry in (("/suite/team/inner/a.txt", (0, 0, READ, WORLD)), ("/suite/team", (0, 0, PASS, sid))):
            samba.protect(path, [entry])
        samba.protect("/suite/team/inner", [(0, 0, FULL, WORLD)])
        samba.protect("/suite", [(0, 0, FULL, WORLD)])
        samba.protect("/", [(0, 0, FULL, WORLD)])
        place.options |= {"directory": "corp", "share_readers": [EVERYONE]}
        for bypassed, acl in ((False, (f"corp/sid:{sid}",)), (True, (EVERYONE,))):
            place.options["bypass_traverse_checking"] = bypassed
            with self.connect(place) as connector:
                (item,) = (one for one in connector.list_items() if isinstance(one, SourceItem))
                assert connector.fetch(item).acl == acl
        assert samba.may_read("daemon", "/suite/team/inner/a.txt")
        place.options["share_readers"] = ["S-1-5-21-1-2-3-513"]
        with self.connect(place) as connector:
            assert "everyone" not in (connector.fetch(item).acl or ())

    def test_who_is_taken_out_of_a_share_or_group_finds_its_document_no_longer(
        self, place: Server, samba: Samba, flow: PipelineHarness, tmp_path: Path
    ) -> None:
        place.put("plan.txt", "The plan is due at nine.")
        sid, group = samba.sids["daemon"], f"S-1-22-2-{gid('games')}"
        samba.protect("/suite/plan.txt", [(0, 0, READ, sid), (0, 0, READ, group)])
        place.options |= {"directory": "corp", "share_readers": [EVERYONE], "bypass_traverse_checking": True}
        entries = people(samba)

        def read() -> None:
            with self.connect(place) as connector:
                flow.connector = connector  # type: ignore[assignment]
                flow.run()

        def learn() -> None:
            with flow.store.engine.begin() as connection:
                sync(connection, flow.source.tenant, "corp", "file", entries)

        def shared(own: VectorIndex) -> VectorIndex:
            own.close()
            return flow.index

        read()
        learn()
        with running(tmp_path / "server", wrap=shared, open_store=lambda: open_store(flow.settings)) as server:

            def finders() -> set[str]:
                return {person for person in PEOPLE if "plan.txt" in found(server, person)}

            assert eventually(lambda: finders() == set(PEOPLE))
            entries = [*entries[:3], DirectoryEntry("group:games", entries[3].names, ())]
            learn()  # and no run: the index holds what it held
            assert eventually(lambda: finders() == {"daemon"})
            samba.protect("/suite/plan.txt", [(1, 0, READ, sid), (0, 0, READ, WORLD)])
            read()
            assert eventually(lambda: finders() == {"games"})
        assert [samba.may_read(person, "/suite/plan.txt") for person in PEOPLE] == [False, True]


def found(server: RunningServer, person: str) -> set[str]:
    request = query_pb2.SearchRequest(query="plan nine", top_k=9, mode=query_pb2.SEARCH_MODE_LEXICAL)
    stub = query_pb2_grpc.QueryServiceStub(server.channel)
    passages = stub.Search(request, metadata=server.auth(subject=person, groups=[]), timeout=60).passages
    return {passage.locator for passage in passages}
