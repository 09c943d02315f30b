"""Real loss curves: laws side by side, robust fits, honest uncertainty, forecasts (docs/losscurves.md)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
