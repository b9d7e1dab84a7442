"""Whatever happens to a source and wherever a run is cut off, the next run makes index, rows and accounting right."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from rag_core import failpoints
from rag_core.content.sources import Problem, Source
from rag_core.errors import Reason
from rag_core.failpoints import FailpointReached
from tests.support.memory_source import MemoryConnector
from tests.support.pipeline import PipelineHarness, prose

LOCATORS = st.sampled_from(["a.txt", "b.txt", "c.txt"])
ACLS = st.sampled_from([None, ("everyone",), ("group:hr",), ()])
POISON = b"\x7fELF" + bytes(range(256)) * 4
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), LOCATORS, st.integers(0, 3), st.integers(1, 5), ACLS),
        st.tuples(st.just("write"), LOCATORS, st.integers(0, 3), st.just(60), ACLS),  # too many chunks
        st.tuples(st.just("spoil"), LOCATORS, st.sampled_from([POISON, b" \n"]), ACLS),
        st.tuples(st.just("touch"), LOCATORS),
        st.tuples(st.just("delete"), LOCATORS),
        st.tuples(st.just("report"), LOCATORS, st.booleans()),
        st.tuples(st.just("toggle"), st.sampled_from(["refused", "unreachable", "vanishing"]), LOCATORS),
        st.tuples(st.just("default_acl"), st.sampled_from([None, ("everyone",), ("group:staff",)])),
    ),
    min_size=1,
    max_size=4,
)
DEATHS = {"point": st.sampled_from(sorted(failpoints.POINTS)), "count": st.integers(1, 3)}
_names = itertools.count()


class Convergence(RuleBasedStateMachine):
    """Edits of a source, each few followed by a run that succeeds, sees half of it, or dies."""

    flow: PipelineHarness

    @initialize(edits=st.lists(st.tuples(LOCATORS, st.integers(0, 3), st.integers(1, 5), ACLS), max_size=4))
    def start(self, edits: list[tuple[str, int, int, tuple[str, ...] | None]]) -> None:
        self.flow.source = Source(f"source-{next(_names)}", "acme", "memory", acl=("everyone",))
        self.flow.connector = MemoryConnector()
        for edit in edits:
            self.write(*edit)
        self.run_to_the_end([])

    @rule(edits=EDITS)
    def run_to_the_end(self, edits: list[tuple[Any, ...]]) -> None:
        self.edit(edits)
        before = self.live()
        counts = self.flow.run()
        connector = self.flow.connector
        listed = set(connector.items) | {problem.locator for problem in connector.problems}
        if listed:
            assert counts.held == 0
            assert self.live() <= listed
        else:
            assert counts.held == len(before)
            assert self.live() == before
        self.check(counts)

    @rule(edits=EDITS, **DEATHS)
    def run_that_dies_and_another(self, edits: list[tuple[Any, ...]], point: str, count: int) -> None:
        self.edit(edits)
        self.die(f"run-{next(_names)}", point, count)
        self.run_to_the_end([])

    @rule(edits=EDITS, later=EDITS, **DEATHS)
    def run_that_dies_and_changes_before_another(
        self, edits: list[tuple[Any, ...]], later: list[tuple[Any, ...]], point: str, count: int
    ) -> None:
        self.edit(edits)
        self.die(f"run-{next(_names)}", point, count)
        self.run_to_the_end(later)

    @rule(edits=EDITS, **DEATHS)
    def run_that_dies_and_is_resumed(self, edits: list[tuple[Any, ...]], point: str, count: int) -> None:
        self.edit(edits)
        run_id = f"resumed-{next(_names)}"
        self.die(run_id, point, count)
        self.check(self.flow.run(run_id))

    @rule(edits=EDITS, seen=st.integers(0, 3))
    def run_with_half_a_listing(self, edits: list[tuple[Any, ...]], seen: int) -> None:
        self.edit(edits)
        before = self.live()
        self.flow.connector.stop_after = seen
        counts = self.flow.run()
        self.flow.connector.stop_after = None
        assert self.flow.reports["documents"].problem == Reason.LISTING_INCOMPLETE
        assert counts.deleted == 0
        emptied = {locator for locator, item in self.flow.connector.items.items() if not item.content.strip()}
        assert before - self.live() <= emptied
        self.check(counts)

    def die(self, run_id: str, point: str, count: int) -> None:
        failpoints.arm(f"{point}:{count}:raise")
        try:
            self.flow.run(run_id)
        except FailpointReached:
            pass
        finally:
            failpoints.arm(None)

    def edit(self, edits: list[tuple[Any, ...]]) -> None:
        for name, *arguments in edits:
            getattr(self, name)(*arguments)

    def write(self, locator: str, seed: int, sentences: int, acl: tuple[str, ...] | None) -> None:
        self.spoil(locator, prose(seed, sentences).encode(), acl)

    def spoil(self, locator: str, content: bytes, acl: tuple[str, ...] | None) -> None:
        connector = self.flow.connector
        connector.problems = [problem for problem in connector.problems if problem.locator != locator]
        connector.put(locator, content, acl=acl)

    def touch(self, locator: str) -> None:
        if locator in self.flow.connector.items:
            self.flow.connector.touch(locator)

    def delete(self, locator: str) -> None:
        self.flow.connector.items.pop(locator, None)

    def report(self, locator: str, skipped: bool) -> None:
        self.delete(locator)
        problem = Problem(locator, Reason.UNREADABLE, "permission denied", skipped=skipped)
        connector = self.flow.connector
        connector.problems = [other for other in connector.problems if other.locator != locator] + [problem]

    def toggle(self, group: str, locator: str) -> None:
        getattr(self.flow.connector, group).symmetric_difference_update({locator})

    def default_acl(self, acl: tuple[str, ...] | None) -> None:
        self.flow.source = Source(self.flow.source.name, "acme", "memory", acl=acl)

    def check(self, counts) -> None:  # type: ignore[no-untyped-def]
        """ACC, and EO: the index holds every live document at its present version, whole, and nothing else."""
        assert counts.pending == 0
        assert counts.balanced, (counts, self.flow.counts("documents"))
        rows = self.rows()
        pieces: dict[str, list] = {}  # type: ignore[type-arg]
        for point in self.flow.points():
            if point.payload.source == self.flow.source.name:
                pieces.setdefault(point.payload.locator, []).append(point)
        expected = {locator for locator, row in rows.items() if row.acl is not None and not row.rejected}
        assert set(pieces) == expected
        for locator, points in pieces.items():
            row = rows[locator]
            points.sort(key=lambda point: point.payload.ordinal)
            assert [point.payload.ordinal for point in points] == list(range(row.chunk_count))
            assert {point.payload.version for point in points} == {row.version}
            assert {point.payload.acl for point in points} == {tuple(row.acl)}
            assert " ".join(" ".join(p.payload.text for p in points).split()) == " ".join(row.text.split())
            self.check_truth(locator, row)

    def check_truth(self, locator: str, row) -> None:  # type: ignore[no-untyped-def]
        """What is served is what the source holds, unless the source cannot give it or it is not usable."""
        connector = self.flow.connector
        item = connector.items.get(locator)
        difficult = connector.refused | connector.unreachable | connector.vanishing
        if item is None or item.content == POISON or locator in difficult or connector.stop_after is not None:
            return
        if self.flow.reports["documents"].problem is None:
            assert row.text == item.content.decode()
            assert item.acl is None or tuple(row.acl) == item.acl

    def rows(self) -> dict:  # type: ignore[type-arg]
        found = self.flow.all(
            "SELECT d.locator, d.text, d.version, d.acl, k.chunk_count, k.rejected FROM rag.documents d"
            " LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.text_version = d.text_version"
            " WHERE d.source = :source AND d.deleted_at IS NULL",
            source=self.flow.source.name,
        )
        return {row.locator: row for row in found}

    def live(self) -> set[str]:
        return set(self.rows())


@pytest.fixture
def machine(flow: PipelineHarness) -> type[Convergence]:
    # Small batches, so that a run has many points at which it can die.
    flow.settings = flow.settings.model_copy(
        update={"sync_batch_documents": 2, "embed_batch": 3, "index_batch_documents": 2}
    )
    return type("Bound", (Convergence,), {"flow": flow})


@pytest.mark.timeout(300)
def test_every_sequence_of_edits_and_crashes_converges(machine: type[Convergence]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=6,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes here, and eight steps can be read
        ),
    )
