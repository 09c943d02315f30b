"""Types of the public face: what functions of arrays take, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np


class SupportsArray(Protocol):
    """What NumPy takes for an array: its own arrays and numbers, and those of xarray, PyTorch and pandas."""

    def __array__(self) -> Any:
        """Return the array."""


_Real = float | SupportsArray
#: Real numbers: one, an array, or sequences nested up to three deep. Deeper ones come as arrays; a type that
#: held itself would take texts, whose items are texts.
Reals = _Real | Sequence[_Real] | Sequence[Sequence[_Real]] | Sequence[Sequence[Sequence[_Real]]]
#: Real numbers of the shape that the arguments have: a float for scalars, otherwise an array.
Values = float | np.ndarray
#: Where random numbers come from (SPEC 7).
RNG = int | np.random.SeedSequence | np.random.Generator | np.random.BitGenerator | None


class Executor(Protocol):
    """What runs tasks: an executor of concurrent.futures, dask's, or anything like them."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Return something with result()."""
