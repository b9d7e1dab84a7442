"""The settings of every process: one class, read once from the environment. No other code reads the environment."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
