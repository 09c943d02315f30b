"""How b = β/β* nears one along the power law with an end: artanh b - b = τ/T (docs/dynamics.md, Eq. 26)."""

from __future__ import annotations

import numpy as np


def artanh_of_end(ratio: np.ndarray) -> np.ndarray:
    """Return y = artanh b from τ/T >= 0 by Newton's method from above, where y - tanh y is convex."""
    y = np.cbrt(3.0 * ratio) + ratio
    for _ in range(60):
        b = np.tanh(y)
        s = y * y
        # The series where the difference would cancel; what it leaves out is below 2e-12 of it.
        series = y * s * (1 / 3 - s * (2 / 15 - s * (17 / 315 - s * (62 / 2835 - s * 1382 / 155925))))
        step = (np.where(y < 0.1, series, y - b) - ratio) / np.maximum(b**2, 1e-300)
        y = y - step
        if (np.abs(step) <= 1e-13 * np.abs(y)).all():
            break
    return y


def approach(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return b and 1 - b at τ/T >= 0, neither with cancellation; the loss is (1 - b)²/b in units of c2/β*."""
    y = artanh_of_end(ratio)
    fallen = np.exp(-2.0 * y)
    return np.tanh(y), 2.0 * fallen / (1.0 + fallen)
