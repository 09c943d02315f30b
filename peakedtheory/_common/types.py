"""Types of what functions take and give: numbers, or arrays of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class _Array(Protocol):
    """What NumPy can read."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


#: A number, a list or table of numbers, or whatever else NumPy reads as an array.
Reals = float | Sequence[float] | Sequence[Sequence[float]] | _Array
#: A number where one was asked for, an array where an array was.
Values = float | np.ndarray
