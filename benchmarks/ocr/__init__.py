"""`rag bench ocr`: character error rate and seconds a page, on pages rendered from known text and then degraded."""

from benchmarks.ocr.run import run
