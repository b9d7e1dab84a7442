"""The stream peer: documents in, vectors by the same model, a nearest-neighbour index, queries answered as of now.

Runs in the peer's environment. Prints one JSON document: seconds of each document, and the rate of a burst.
"""

# mypy: disable-error-code="untyped-decorator,misc,type-arg"
from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pathway as pw

from benchmarks.stream_texts import document
from rag_core.content.embedding import open_embedder
from rag_core.settings import Settings

COMMIT_MS = 5
"""How often its inputs are committed; its default of 1500 ms would be most of what is measured."""
LOOK_SECONDS = 0.002
LIMIT_SECONDS = 300.0


class _Document(pw.Schema):
    name: str = pw.column_definition(primary_key=True)
    text: str


class _Query(pw.Schema):
    number: int = pw.column_definition(primary_key=True)
    vector: np.ndarray


class _Input(pw.io.python.ConnectorSubject):
    """An input that this program writes to until it is closed."""

    def __init__(self) -> None:
        super().__init__(session_type="upsert")
        self.ending = threading.Event()
        self.started = threading.Event()

    def run(self) -> None:
        self.started.set()
        self.ending.wait()


class _Driver:
    def __init__(self, embedder: Any) -> None:
        self._embedder = embedder
        self.documents, self.queries = _Input(), _Input()
        self._answers: dict[int, tuple[str, ...]] = {}
        self._ready = threading.Condition()
        self._asked = 0

    def build(self) -> None:
        """The dataflow."""
        embedder = self._embedder

        @pw.udf
        def embed(text: str) -> np.ndarray:
            vector: np.ndarray = embedder.embed_passages([text])[0].astype(np.float64)
            return vector

        documents = pw.io.python.read(self.documents, schema=_Document, autocommit_duration_ms=COMMIT_MS)
        queries = pw.io.python.read(self.queries, schema=_Query, autocommit_duration_ms=COMMIT_MS)
        embedded = documents.select(pw.this.name, vector=embed(pw.this.text))
        factory = pw.indexing.BruteForceKnnFactory(dimensions=embedder.dimensions)
        index = factory.build_index(embedded.vector, embedded)
        answers = index.query_as_of_now(queries.vector, number_of_matches=1).select(
            number=pw.left.number, names=pw.right.name
        )
        pw.io.subscribe(answers, on_change=self._answered)

    def _answered(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            with self._ready:
                self._answers[row["number"]] = tuple(row["names"] or ())
                self._ready.notify_all()

    def top(self, vector: Any) -> str | None:
        """The nearest document now."""
        self._asked += 1
        number = self._asked
        self.queries.next(number=number, vector=vector)
        with self._ready:
            if not self._ready.wait_for(lambda: number in self._answers, LIMIT_SECONDS):
                raise TimeoutError("a query got no answer")
            names = self._answers.pop(number)
        return names[0] if names else None

    def measure(self, documents: int, burst: int) -> dict[str, object]:
        """As `benchmarks.stream.ours`."""
        searchable, gone = [], []
        for number in range(-3, documents):
            text, name = document(number), f"{number}.txt"
            vector = self._embedder.embed_passages([text])[0].astype(np.float64)
            began = time.perf_counter()
            self.documents.next(name=name, text=text)
            while self.top(vector) != name:
                time.sleep(LOOK_SECONDS)
            middle = time.perf_counter()
            self.documents.delete(name=name, text=text)
            while self.top(vector) == name:
                time.sleep(LOOK_SECONDS)
            if number >= 0:
                searchable.append(middle - began)
                gone.append(time.perf_counter() - middle)
        return {"searchable": searchable, "gone": gone, "burst_rate": self._burst(documents, burst)}

    def _burst(self, first: int, count: int) -> float:
        last = first + count - 1
        vector = self._embedder.embed_passages([document(last)])[0].astype(np.float64)
        began = time.perf_counter()
        for number in range(first, first + count):
            self.documents.next(name=f"{number}.txt", text=document(number))
        while self.top(vector) != f"{last}.txt":
            time.sleep(LOOK_SECONDS)
        return count / (time.perf_counter() - began)


def main() -> None:
    """Run the dataflow on a thread and drive it from this one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--burst", type=int, required=True)
    arguments = parser.parse_args()
    driver = _Driver(open_embedder(Settings(home=arguments.home, embedder="onnx")))
    driver.build()
    thread = threading.Thread(
        target=lambda: pw.run(monitoring_level=pw.MonitoringLevel.NONE), name="dataflow", daemon=True
    )
    thread.start()
    driver.documents.started.wait(LIMIT_SECONDS)
    driver.queries.started.wait(LIMIT_SECONDS)
    print(json.dumps(driver.measure(arguments.documents, arguments.burst)), flush=True)
    for subject in (driver.documents, driver.queries):
        subject.ending.set()


if __name__ == "__main__":
    main()
