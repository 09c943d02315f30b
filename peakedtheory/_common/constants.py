"""Numbers of the theory that more than one room needs."""

from __future__ import annotations

import math

#: c_2 over the density of the lowest gap at zero: ∫_0^∞ ln(1 + e^-t) dt = π²/12.
C2_PER_GAP_DENSITY = math.pi**2 / 12.0
