"""Training experiments that the theory is compared with: teachers and students trained in stacks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
