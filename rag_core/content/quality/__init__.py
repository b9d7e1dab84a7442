"""Quality of documents and sources: rules, measures, history and quarantine."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
