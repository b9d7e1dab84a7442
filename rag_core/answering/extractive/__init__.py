"""Answers made of the sources' own text, without a model that writes."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
