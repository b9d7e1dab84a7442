"""Usage by tenant and API key, and the budgets that limit it."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
