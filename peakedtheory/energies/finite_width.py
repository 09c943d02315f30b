"""Gaussian energies whose scale is drawn once for all n: logits of a network of finite width."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import scipy

from peakedtheory._common.checks import whole_number
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Component, Density
from peakedtheory.energies.inversion import quantile_between
from peakedtheory.energies.normal import STANDARD_NORMAL

#: Nodes in ln s of each average over s, and the fall of the integrand, in ln, at which they end.
_NODES = 600
_ENDED = 45.0
#: |ε|√m below this is as good as zero, and probabilities of |ε| beyond this are no longer numbers.
_SMALLEST = 1e-30
_FARTHEST = 800.0
_VALUES_AT_ONCE = 2000
#: Widths beyond which the small scales that `scales` cuts off matter to no moment.
_WIDE = 64


class FiniteWidth(Energies):
    """Gaussian logits of a network of hidden width m whose inputs are not normalised.

    Given the input x the n logits are i.i.d. N(0, ‖x‖²/m), so that averages over inputs mix temperatures:
    Φ_m(β) = ⟨Φ(β s)⟩ with s = χ_m/√m. Inputs of fixed norm need no mixing: use the normal energies.

    Parameters
    ----------
    width : int
        Hidden width m >= 1.

    Examples
    --------
    >>> import numpy as np
    >>> laplace = FiniteWidth(2)  # one of its energies follows a Laplace law
    >>> print(f"{laplace.cdf(np.array(-3.0)) / np.exp(-3.0 * np.sqrt(2)):.12f}")
    0.500000000000
    """

    def __init__(self, width: int) -> None:
        self.width = whole_number("width", width, 1, remedy="give the hidden width of the network")
        self.name = f"finite-width:m={self.width}"

    @property
    def unscaled(self) -> Energies:
        return STANDARD_NORMAL

    @functools.cached_property
    def scales(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the average over s = χ_m/√m, by the trapezoidal rule in ln s."""
        m = self.width
        step = min(0.08, 0.3 / math.sqrt(m))
        y = step * np.arange(-math.ceil(40.0 / m / step) - math.ceil(9.0 / step), math.ceil(9.0 / step) + 1)
        y = y[(y > -40.0 / m - 7.0) & (y < 4.0)]
        s = np.exp(y)
        log_weight = m * (y - 0.5 * (s * s - 1.0))
        weight = np.exp(log_weight - log_weight.max())
        keep = weight > 1e-20
        return s[keep], weight[keep] / weight[keep].sum()

    def scale_moment(self, power: float) -> float:
        if not -self.width < power < 0 or self.width > _WIDE:
            return super().scale_moment(power)
        half = 0.5 * self.width  # small scales decide, which `scales` cuts off
        return half ** (-0.5 * power) * math.gamma(half + 0.5 * power) / math.gamma(half)

    @functools.cached_property
    def components(self) -> tuple[Component, ...]:
        quartile = float(self.ppf(np.array(0.75)))
        density = Density(
            self._pdf,
            self._above,
            self.cdf,
            -math.inf,
            math.inf,
            0.0,
            2.0 * quartile,
            (0.0,),
        )
        return ((1.0, density),)

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        return self._average(x, 0.5 * (self.width - 1.0), _normal_over_scale)

    def cdf(self, energy: np.ndarray) -> np.ndarray:
        energy = np.asarray(energy, dtype=float)
        tail = self._average(energy, 0.5 * self.width, lambda ratio, s: scipy.special.ndtr(-ratio))
        return np.where(energy > 0.0, 1.0 - tail, tail)

    def _average(
        self, energy: np.ndarray, power: float, function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return ⟨function(|ε|/s, s)⟩ over s, accurate in relative terms however far out.

        In u = 2 ln s, from its saddle on, the integrand falls at least as e^(-D) with
        D = c (cosh u - 1) + ν (sinh u - u), c² = m ε² + ν², where ν is the `power`.
        """
        flat = np.abs(np.ravel(energy))
        parts = np.array_split(flat, 1 + flat.size // _VALUES_AT_ONCE)
        values = [self._saddle_average(part[:, None], power, function) for part in parts]
        return np.concatenate(values).reshape(np.shape(energy))

    def _saddle_average(self, size: np.ndarray, power: float, function: Callable) -> np.ndarray:
        m = self.width
        z = np.minimum(np.maximum(math.sqrt(m) * size, _SMALLEST), 1e150)
        c = np.hypot(z, power)
        left = _arccosh_after(_ENDED * (c + power) / z / z)
        if power > 0.0:  # where |ε| is small its own fall comes late
            fall = _ENDED / power
            left = np.minimum(left, 0.5 * (fall + math.sqrt(fall * (fall + 8.0))))
        right = _arccosh_after(_ENDED / c)
        u = -left + (left + right) * np.linspace(0.0, 1.0, _NODES)
        y = 0.5 * (np.log((c + power) / m) + u)
        s = np.exp(y)
        with np.errstate(under="ignore"):
            density = np.exp(self._log_density(y))
            values = density * function(size / s, s)
        return values.sum(axis=1) * (left + right)[:, 0] / (2.0 * (_NODES - 1))

    def _log_density(self, y: np.ndarray) -> np.ndarray:
        """Logarithm of the density of y = ln s."""
        return 0.5 * self.width * (2.0 * y - np.expm1(2.0 * y)) + self._log_norm

    @functools.cached_property
    def _log_norm(self) -> float:
        half = 0.5 * self.width
        if half < 50.0:
            return math.log(2.0) + half * (math.log(half) - 1.0) - math.lgamma(half)
        # Stirling's series, whose leading terms cancel
        series = 1.0 / (12.0 * half) - 1.0 / (360.0 * half**3) + 1.0 / (1260.0 * half**5)
        return math.log(2.0) + 0.5 * math.log(half / (2.0 * math.pi)) - series

    def ppf(self, q: np.ndarray) -> np.ndarray:
        q = np.asarray(q, dtype=float)
        size = np.full(q.shape, _FARTHEST)
        lower = quantile_between(self.cdf, np.minimum(q, 1.0 - q), -size, 0.0 * size)
        lower = np.where(np.minimum(q, 1.0 - q) > 0.0, lower, -math.inf)
        return np.where(q > 0.5, -lower, lower)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Draw energies; the last axis holds the n energies that share one input."""
        out = rng.standard_normal(size)
        norm = np.sqrt(rng.chisquare(self.width, out.shape[:-1]) / self.width)
        return out * norm[..., None] if out.ndim > 1 else out * norm

    def central_moments(self, order: int) -> np.ndarray:
        s, weight = self.scales
        return STANDARD_NORMAL.central_moments(order) * np.array([weight @ s**r for r in range(order + 1)])

    @property
    def tail_indices(self) -> list[tuple[float, float]]:
        return [(math.inf, math.inf)]


def _normal_over_scale(ratio: np.ndarray, s: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ratio * ratio) / (math.sqrt(2.0 * math.pi) * s)


def _arccosh_after(excess: np.ndarray) -> np.ndarray:
    """Return arccosh(1 + excess)."""
    return np.log1p(excess + np.sqrt(excess * (2.0 + excess)))
