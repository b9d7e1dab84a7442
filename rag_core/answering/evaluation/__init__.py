"""Evaluation: labelled sets, owners' questions, grades, comparison of runs, and what users said of answers."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
