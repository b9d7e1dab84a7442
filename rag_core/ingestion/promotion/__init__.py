"""The lifecycle of a generation: forecast, build, promotion gate, promotion, rollback, retirement."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
