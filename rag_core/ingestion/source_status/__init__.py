"""The status of a source: one state, computed here from rows, which every face of the platform shows."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
