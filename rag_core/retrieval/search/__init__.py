"""The search room: lexical encoder, term statistics, hybrid search, fusion, diversity and reranking."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
