"""A smooth surface over a uniform grid whose values are computed where it is first visited.

In each cell stands the quintic that has, at the four corners, the values and first and second differences of
fourth order, so that two derivatives are continuous: an integrator of high order notices kinks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peakedtheory._common.threads import share

#: Nodes below and above the lower corner of a cell that its polynomial sees.
_BELOW, _ABOVE = 2, 3
_SEEN = _BELOW + 1 + _ABOVE


def _to_powers() -> np.ndarray:
    """From six values in a row to the quintic between the middle two, lowest power first."""
    first, second = (
        np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12.0,
        np.array([-1.0, 16.0, -30.0, 16.0, -1.0]) / 12.0,
    )
    differences = np.zeros((6, 6))
    differences[0, _BELOW] = differences[3, _BELOW + 1] = 1.0
    differences[1, :5], differences[2, :5], differences[4, 1:], differences[5, 1:] = (
        first,
        second,
        first,
        second,
    )
    k = np.arange(6.0)
    at_end = np.array([np.ones(6), k, k * (k - 1.0)])
    at_start = np.diag([1.0, 1.0, 2.0, 0.0, 0.0, 0.0])[:3]
    return np.linalg.solve(np.concatenate([at_start, at_end]), differences)


def _continued() -> np.ndarray:
    """From the values at nodes 0 to 5 to those of their polynomial at -2 and -1."""
    powers = np.vander(np.arange(-_BELOW, _SEEN, dtype=float), _SEEN, increasing=True)
    return powers[:_BELOW] @ np.linalg.inv(powers[_BELOW:])


_TO_POWERS, _CONTINUED = _to_powers(), _continued()


class Surface:
    """Interpolant of functions of (i, j) at real u, v >= 0, even in v and continued below u = 0.

    Parameters
    ----------
    function : callable
        Values of all parts at a node.
    rows, columns, parts : int
    seconds : float
        Roughly how long one node takes, if several may be computed at once; 0 if not.

    Attributes
    ----------
    cells : ndarray, shape (parts, rows, columns, 6, 6)
        Coefficients of each cell by powers of u and of v, the lowest first; NaN where it is not known yet.
    """

    def __init__(
        self,
        function: Callable[[int, int], tuple[float, ...]],
        rows: int,
        columns: int,
        *,
        parts: int = 1,
        seconds: float = 0.0,
    ) -> None:
        self._function, self._seconds = function, seconds
        self._nodes: dict[tuple[int, int], tuple[float, ...]] = {}
        self.cells = np.full((parts, rows, columns, _SEEN, _SEEN), np.nan)

    def fill(self, index: int) -> None:
        """Compute the cell of this index in rows of columns."""
        i, j = divmod(index, self.cells.shape[2])
        rows = range(max(i - _BELOW, 0), max(i - _BELOW, 0) + _SEEN)
        nodes = [[(row, abs(k)) for k in range(j - _BELOW, j + _ABOVE + 1)] for row in rows]
        missing = sorted({node for row in nodes for node in row} - self._nodes.keys())

        def compute(start: int, stop: int) -> None:
            for node in missing[start:stop]:
                self._nodes[node] = self._function(*node)

        share(len(missing), 1, self._seconds * len(missing), compute)
        values = np.moveaxis(np.array([[self._nodes[node] for node in row] for row in nodes]), -1, 0)
        outside = max(_BELOW - i, 0)
        if outside:
            continued = _CONTINUED[_BELOW - outside :] @ values
            values = np.concatenate([continued, values[:, : _SEEN - outside]], axis=1)
        self.cells[:, i, j] = _TO_POWERS @ values @ _TO_POWERS.T
