"""What functions of numbers take and give back, as type checkers see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class _Array(Protocol):
    """Anything that NumPy reads as an array: of xarray, pandas or torch, and NumPy's own."""

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray: ...


#: A number or numbers of any shape.
Reals = float | Sequence[float] | Sequence[Sequence[float]] | _Array
#: The same shape back.
Values = float | np.ndarray
