"""What threads share is opened once, on every version of Python."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.ingestion.generations import Transforms
from rag_core.lazy import locked_property
from tests.support.generations import word_transforms


def test_an_embedder_that_threads_want_at_once_is_opened_once() -> None:
    opened: list[FakeEmbedder] = []
    began, release = threading.Event(), threading.Event()

    def open_slowly() -> FakeEmbedder:
        opened.append(FakeEmbedder())
        began.set()
        release.wait(30)
        return opened[-1]

    transforms = Transforms(open_slowly, lambda: word_transforms().chunker, {})
    with ThreadPoolExecutor(8) as threads:
        wanted = [threads.submit(lambda: transforms.embedder) for _ in range(8)]
        assert began.wait(30)
        release.set()
        found = {id(future.result(30)) for future in wanted}
    assert (len(opened), len(found)) == (1, 1)


def test_a_part_that_could_not_be_opened_is_tried_again_and_then_kept() -> None:
    class Parts:
        """Fails once."""

        tries = 0

        @locked_property
        def part(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise OSError
            return self.tries

    parts = Parts()
    with pytest.raises(OSError, match=r"^$"):
        _ = parts.part
    assert (parts.part, parts.part, vars(parts)) == (2, 2, {"tries": 2, "part": 2})
