"""History: figures of traffic and pipeline over hours and days, in PostgreSQL, and the questions without an answer."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
