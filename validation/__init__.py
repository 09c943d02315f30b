"""Training experiments that the theory is compared with: teachers and students trained in stacks."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peakedtheory.validation.training.cases import Case, grid
    from peakedtheory.validation.training.train import train

#: Names whose modules are loaded when first asked for.
_LAZY = {"Case": "training.cases", "grid": "training.cases", "train": "training.train"}

__all__ = ["Case", "grid", "train"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'peakedtheory.validation' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"peakedtheory.validation.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
