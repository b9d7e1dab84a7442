"""An honest client at 20 searches a second beside each attack, and beside a neighbour using the same processor time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.abuse.attacks import ADDRESSES, ATTACKS, BENIGN
from benchmarks.abuse.hostile import Done, Plan, attacking, outcome
from benchmarks.ingest.workbench import open_workbench
from benchmarks.own_text import open_embedder
from benchmarks.query.corpus import GENERATION, TENANT, chunk_texts, fill_index, update_of
from benchmarks.query.load import Outcome, open_loop, questions
from benchmarks.query.run import installation
from benchmarks.query.systems import over_grpc
from benchmarks.report import Progress, Report, Table, Target
from benchmarks.timing import median
from benchmarks.vectors import text_vectors
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.settings import Settings
from ragctl.tokens import mint_token

RATE = 20
"""Searches a second of the honest client."""
SOURCE = "127.0.0.66"
"""Where the attacker comes from; unlike 127.0.0.1 it has the limits of any address."""
HOSTILE = "hostile"
LARGE_BYTES = (16_384, 65_536, 262_144, 1_048_576)
"""Documents of the attacker's tenant, all of which its searches find."""
_START_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure. A round is an attack and a benign load, `seconds` each. `share` of a core is the attacker's;
    `attacks` are names, empty for all."""

    chunks: int = 5000
    seconds: float = 10
    rounds: int = 3
    share: float = 0.25
    attacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """Figures of the honest client beside an attack, then beside a benign process with the same processor time."""

    done: Done
    under: Outcome
    benign: Outcome

    @property
    def ratio(self) -> float:
        return self.under.p95 / self.benign.p95 if self.benign.p95 and self.under.p95 else float("inf")


Rounds = dict[str, list[Round]]


def run(settings: Settings, sizes: Sizes, *, progress: Progress) -> Report:
    """Start a query server and the gateway with the limits of an installation, and attack them."""
    with open_workbench(settings) as workbench:
        own = installation(settings, workbench)
        with _serving(own, sizes):
            bench = _Bench(own, sizes)
            bench.measure()  # everything is warm after this
            quiet = bench.measure()
            names = sizes.attacks or tuple(name for name in ATTACKS if name != BENIGN)
            steps = [name for _ in range(sizes.rounds) for name in names]
            rounds: Rounds = {name: [] for name in names}
            for number, name in enumerate(steps):
                progress(number, len(steps))
                rounds[name].append(bench.round(name))
    return _report(sizes, quiet, rounds)


@contextmanager
def _serving(settings: Settings, sizes: Sizes) -> Iterator[None]:
    with closing(open_embedder(settings)) as embedder, closing(EdgeIndex(settings.index_dir)) as index:
        texts = chunk_texts(sizes.chunks)
        vectors = text_vectors(texts, embedder, settings.home.parents[1] / "vectors")
        fill_index(index, texts, vectors, embedder.fingerprint, lambda done, total: None)
        large = [(f"large-{size}", ["bell " * (size // 5)]) for size in LARGE_BYTES]
        index.apply(GENERATION, [update_of(HOSTILE, name, texts, vectors[:1]) for name, texts in large])
    with processes.query_server(settings), processes.interfaces(settings), processes.gateway(settings):
        yield


class _Bench:
    def __init__(self, settings: Settings, sizes: Sizes) -> None:
        self._settings = settings
        self._sizes = sizes
        self._address = f"127.0.0.1:{settings.gateway_port}"
        self._token = mint_token(settings, subject="bench", tenant=TENANT)
        names = [f"hostile-{number}" for number in range(max(ADDRESSES))]
        self._hostile = tuple(mint_token(settings, subject=name, tenant=HOSTILE) for name in names)
        self._asked = questions([f"question {number}" for number in range(1000)], 0)

    def round(self, attack: str) -> Round:
        """The attack, then as much processor time spent by a process that bothers nobody."""
        with attacking(self._plan(attack, self._sizes.share)) as process:
            under = self.measure()
            done = outcome(process)
        share = max(0.01, done.processor_seconds / _attacked(self._sizes))
        with attacking(self._plan(BENIGN, share)):
            benign = self.measure()
        return Round(done, under, benign)

    def _plan(self, attack: str, share: float) -> Plan:
        return Plan(attack, self._address, SOURCE, self._hostile, _attacked(self._sizes), share)

    def measure(self) -> Outcome:
        """The honest client."""

        async def loop() -> Outcome:
            await asyncio.sleep(_START_SECONDS)
            async with over_grpc(self._address, self._token)() as call:
                return await open_loop(call, self._asked, rate=RATE, seconds=self._sizes.seconds)

        return asyncio.run(loop())


def _attacked(sizes: Sizes) -> float:
    """Seconds of an attack, which begins before the honest client and ends after it."""
    return sizes.seconds + 2 * _START_SECONDS


def _report(sizes: Sizes, quiet: Outcome, rounds: Rounds) -> Report:
    asked = ("p95 ms", "beside benign", "ratio", "failed", "beside benign", "p95 / alone")
    columns = ("attack", "units/s", "connections", "of a core", *asked)
    rows = {name: _row(sizes, found, quiet) for name, found in rounds.items()}
    worst, ratio = max(((name, figures[-4]) for name, figures in rows.items()), key=lambda item: item[1])
    slowest, alone = max(((name, figures[-1]) for name, figures in rows.items()), key=lambda item: item[1])
    failed = sum(found.under.failed for each in rounds.values() for found in each)
    sent = len(rows) * sizes.rounds * RATE * sizes.seconds
    targets = (
        Target("p95 under attack / beside a benign load, worst", ratio, 2, f"same processor time; {worst}"),
        Target("p95 under attack / alone, worst", alone, 2, f"the client alone, at the start; {slowest}"),
        Target("honest searches that succeed", 1 - failed / sent, 0.995, "all attacks together", at_least=True),
    )
    title = f"An honest client at {RATE} searches a second beside attackers limited to {sizes.share:g} of a core"
    notes = (
        f"medians of {sizes.rounds} rounds of {sizes.seconds:g} s; {sizes.chunks} chunks",
        f"alone the client's p95 is {quiet.p95:.1f} ms",
        "the benign load spins for the processor time that the attacker's process took, right after each attack",
        f"the attacker comes from {SOURCE} and the addresses after it, with the limits of any address and client",
        "made-up keys find no database",
    )
    table = Table(title, columns, tuple((name, *figures) for name, figures in rows.items()))
    return Report("bench abuse", (table,), targets, notes)


def _row(sizes: Sizes, found: list[Round], quiet: Outcome) -> tuple[float, ...]:
    """The figures of one attack: medians, but for the failures."""
    return (
        median([item.done.units / _attacked(sizes) for item in found]),
        median([item.done.connections for item in found]),
        median([item.done.processor_seconds / _attacked(sizes) for item in found]),
        median([item.under.p95 for item in found]),
        median([item.benign.p95 for item in found]),
        median([item.ratio for item in found]),
        sum(item.under.failed for item in found),
        sum(item.benign.failed for item in found),
        median([item.under.p95 for item in found]) / quiet.p95,
    )
