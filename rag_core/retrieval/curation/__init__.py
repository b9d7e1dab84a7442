"""Curations: what editors decided for a question: a written answer, or a document pinned, boosted or hidden."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
