"""Fast, accurate stand-ins for Φ' and Φ along one axis of β, from which flows and losses are evaluated.

With Φ' → c0 as β → ∞ two positive functions are tabulated, both with relative accuracy:
the drive g(β) = c0 - Φ'(β) = ∫_β^∞ Φ'' dt and the hard-label loss Λ(β) = Φ(β) - c0 β - c1 = ∫_β^∞ (t - β)
Φ'' dt.
The slope dL/dβ = g(β*) - g(β) and the loss L = Λ(β) - Λ(β*) + (β - β*) g(β*) follow (Liu et al. 2026, Eqs.
10, 44).
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.dynamics.gap_law import predict_exponent
from peakedtheory.energies.base import Energies
from peakedtheory.energies.components import Atoms
from peakedtheory.energies.normal import STANDARD_NORMAL
from peakedtheory.exact.thermodynamics import thermodynamics

#: The dense table has this many quintic cells in each panel.
_CELLS = 48
#: Where a gapped spectrum ends is found by this many halvings of a panel, whatever the accuracy elsewhere.
_MOST_HALVINGS = 7


class _Grid(NamedTuple):
    """Panels in u = ln(1 + β·scale) to begin with, and how far they are refined."""

    #: Chebyshev nodes in each panel, and the relative error of Φ'' above which a panel is halved.
    degree: int
    accuracy: float
    #: Widths of the panels in units of `width`, wide where Φ'' nears its power law; the last β·scale, and the
    #: last where Φ'' has not reached its power by then.
    width: float
    widths: tuple[int, ...]
    last: float
    farthest: float
    halvings: int


#: For Gaussian energies, whose engine is fast, and for all others.
_FINE = _Grid(16, 1e-10, 1.2, (1, 1, 1, 1, 2, 4), 1e5, 1e5, _MOST_HALVINGS)
_COARSE = _Grid(6, 3e-3, 1.4, (1, 1, 1, 1, 1), 1e3, 1e12, 4)
#: The power of Φ'' is reached where it is that of the gap law within this; no table goes on where Φ'' itself
#: has larger relative errors than the other.
_SETTLED = 0.01
_NOISE = 1e-3
#: Values of β²Φ'' below this count as zero: the spectrum has a gap and β has passed it.
_VANISHED = 1e-22
_GAUSS_NODES, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(12)
_LAGUERRE_NODES, _LAGUERRE_WEIGHTS = np.polynomial.laguerre.laggauss(8)


class Quintic:
    """Piecewise quintic Hermite interpolant of ln f on an ordered grid in u, with a fast scalar path."""

    def __init__(self, u: np.ndarray, value: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        h = np.diff(u)
        f0, f1 = value[:-1], value[1:]
        d0, d1 = first[:-1] * h, first[1:] * h
        s0, s1 = second[:-1] * h * h, second[1:] * h * h
        jump = f1 - f0
        self.coefficients = np.stack(
            [
                f0,
                d0,
                s0 / 2,
                10 * jump - 6 * d0 - 4 * d1 - 1.5 * s0 + 0.5 * s1,
                -15 * jump + 8 * d0 + 7 * d1 + 1.5 * s0 - s1,
                6 * jump - 3 * d0 - 3 * d1 - 0.5 * s0 + 0.5 * s1,
            ]
        )
        self.u, self.h = u, h

    def __call__(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the interpolated ln f and its derivative in u."""
        cell = (np.searchsorted(self.u, u, side="right") - 1).clip(0, self.h.size - 1)
        x = (u - self.u[cell]) / self.h[cell]
        c = self.coefficients[:, cell]
        value = c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * (c[4] + x * c[5]))))
        slope = c[1] + x * (2 * c[2] + x * (3 * c[3] + x * (4 * c[4] + x * 5 * c[5])))
        return value, slope / self.h[cell]


class Interpolant:
    """Drive g(β), hard-label loss Λ(β) and variance Φ''(β) of n i.i.d. energies for every β >= 0.

    Attributes
    ----------
    slope : float
        c0 - Φ'(0) = ⟨max x⟩ measured from the mean energy: Φ'(β) - Φ'(0) → slope.
    top : float
        β beyond which the functions continue as the power laws (or zeros) they have reached.
    gap_exponent : float
        κ of the gap law, Λ ~ β^-κ; infinite behind a gap.
    settled : bool
        Whether the power laws at the top are these.
    error : float
        Relative error of Φ'' found between the nodes.
    """

    def __init__(self, n: float, energies: Energies, farthest: float = math.inf) -> None:
        self.n, self.energies = float(n), energies
        self.scale = _scale(energies)
        grid = _grid(energies)
        self._farthest = min(farthest, grid.farthest)
        self.gap_exponent = predict_exponent(n, energies).gap_exponent
        edges, panels = self._panels(grid)
        self._tabulate(edges, panels)

    def _exact(self, u: np.ndarray) -> tuple[np.ndarray, float]:
        """Φ'', and its largest relative error."""
        exact = thermodynamics(np.expm1(u) / self.scale, self.n, self.energies)
        variance = np.maximum(np.asarray(exact.energy_variance, dtype=float), 1e-300)
        return variance, float((exact.error.energy_variance / variance).max())

    def _panels(self, grid: _Grid) -> tuple[np.ndarray, list[np.ndarray]]:
        """Edges of the panels and Chebyshev coefficients of ln Φ'' in each."""
        cheb = np.polynomial.chebyshev
        nodes = np.cos(np.pi * (np.arange(grid.degree) + 0.5) / grid.degree)
        transform = np.linalg.inv(cheb.chebvander(nodes, grid.degree - 1))
        count = math.ceil(math.log1p(grid.last) / grid.width)
        starts = grid.width * np.minimum(np.append(0, np.cumsum(grid.widths)), count)
        todo = [(a, b, 0) for a, b in itertools.pairwise(starts.tolist()) if a < b][::-1]
        edges, panels = [0.0], list[np.ndarray]()
        self.error, self.settled = 0.0, False
        while todo:
            a, b, depth = todo.pop()
            u = 0.5 * (a + b) + 0.5 * (b - a) * nodes
            variance, noise = self._exact(u)
            c = transform @ np.log(variance)
            # The coefficients fall geometrically, so the last ones bound the error.
            error = float(np.abs(c[-2:]).sum())
            vanished = bool((variance * (np.exp(u) / self.scale) ** 2).min() < _VANISHED)
            if (vanished and depth < _MOST_HALVINGS) or (error > grid.accuracy and depth < grid.halvings):
                todo += [(0.5 * (a + b), b, depth + 1), (a, 0.5 * (a + b), depth + 1)]
                continue
            if vanished or (panels and noise > _NOISE):
                self.settled = vanished
                break
            self.error = max(self.error, error)
            edges.append(b)
            panels.append(c)
            power = (cheb.chebval(0.8, c) - cheb.chebval(1.0, c)) / (0.1 * (b - a) * -math.expm1(-b))
            self.settled = abs(power - self.gap_exponent - 2.0) < _SETTLED
            if not todo and not self.settled and b < math.log(self._farthest):
                todo.append((b, b + grid.width, 0))
        return np.array(edges), panels

    def _tabulate(self, edges: np.ndarray, panels: list[np.ndarray]) -> None:
        cheb = np.polynomial.chebyshev
        local = np.linspace(-1, 1, _CELLS + 1)
        inner = (local[:-1, None] + (_GAUSS_NODES + 1) / _CELLS).ravel()
        half = 0.5 * np.diff(edges)[:, None]
        middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
        c = np.array(panels).T
        u = np.append((middle + half * local[:-1]).ravel(), edges[-1])
        variance = np.exp(np.append(cheb.chebval(local[:-1], c).ravel(), cheb.chebval(1.0, c[:, -1])))
        at = (middle + half * inner).reshape(-1, _GAUSS_NODES.size)
        weight = (np.exp(cheb.chebval(inner, c)) * half / _CELLS).reshape(at.shape) * _GAUSS_WEIGHTS
        weight *= np.exp(at) / self.scale
        beta = np.expm1(u) / self.scale
        top = beta[-1]
        drive_top, loss_top = self._ends(float(top), variance[-2:], beta[-2:])
        # Beyond the top each function goes on with the power that it has reached there.
        self._drive_power = top * variance[-1] / drive_top
        self._loss_power = top * drive_top / loss_top
        gains = weight.sum(axis=1)
        moments = (weight * (np.expm1(at) / self.scale - beta[:-1, None])).sum(axis=1)
        drive = np.append(drive_top + np.cumsum(gains[::-1])[::-1], drive_top)
        width = np.diff(beta)
        loss = np.append(loss_top + np.cumsum((moments + width * drive[1:])[::-1])[::-1], loss_top)
        jacobian = np.exp(u) / self.scale  # dβ/du
        slope = -variance * jacobian / drive
        # d ln Φ''/du, by the panels' own polynomials, gives the second derivative of ln g.
        dc = np.array([cheb.chebder(p) for p in panels]).T
        rate = np.append(
            (cheb.chebval(local[:-1], dc) / half).ravel(), cheb.chebval(1.0, dc[:, -1]) / half[-1]
        )
        self._drive = Quintic(u, np.log(drive), slope, slope * (rate + 1.0 - slope))
        lower = -drive * jacobian / loss
        self._loss = Quintic(u, np.log(loss), lower, lower * (slope + 1.0 - lower))
        self.top, self._u_top = float(top), float(u[-1])
        self.slope = float(drive[0])
        self._top_drive = float(drive_top)
        self._panels_at(edges)

    def _ends(self, top: float, variance: np.ndarray, beta: np.ndarray) -> tuple[float, float]:
        """Drive g and loss Λ at the top: from S - c1 = Λ + βg, and S or a power law of Φ'' beyond."""
        if any(isinstance(part, Atoms) for _, part in self.energies.core.unscaled.components):
            # Φ'' ~ β^-p, with large p behind a gap; c1 is not zero
            power = max(math.log(variance[0] / variance[1]) / math.log(beta[1] / beta[0]), 2.001)
            drive = top * variance[1] / (power - 1.0)
            return drive, top * drive / (power - 2.0)
        entropy = float(thermodynamics(top, self.n, self.energies).entropy)
        if self.energies.core is STANDARD_NORMAL:  # Φ'' ~ β⁻³(1 + 2x·top/β)
            ratio = top**2 * variance[1] / entropy
            x = (ratio - 1.0) / (2.0 - ratio)
            loss = entropy * (0.5 + x / 3.0) / (1.0 + x)
            return (entropy - loss) / top, loss
        # Λ(β) = ∫_0^∞ S(β e^l) e^-l dl
        colder = thermodynamics(top * np.exp(_LAGUERRE_NODES), self.n, self.energies)
        loss = float(_LAGUERRE_WEIGHTS @ np.asarray(colder.entropy))
        return (entropy - loss) / top, loss

    def _panels_at(self, edges: np.ndarray) -> None:
        """Tables for single floats: `cells` one after the other, and `places`, of equal width, into them."""
        constant = [math.log(self._top_drive), 0.0, 0.0, 0.0, 0.0, 0.0]
        # Rounding may reach the next panel's first cell, and the one after the last.
        self.cells = np.concatenate([self._drive.coefficients.T, [constant]])
        # Panels are halves of halves of one width, so edges lie between places.
        place = float(np.diff(edges).min())
        count = round(self._u_top / place)
        owner = np.searchsorted(edges, (np.arange(count) + 0.5) * place) - 1
        owner = np.append(owner, edges.size - 2)
        self.places = np.stack([edges[owner], _CELLS / np.diff(edges)[owner], _CELLS * owner], axis=1)
        self._scalar_cells = list(map(tuple, self.cells.tolist()))
        self._scalar_places = [
            (start, per_unit, int(first)) for start, per_unit, first in self.places.tolist()
        ]
        self._per_unit = 1.0 / place

    @property
    def onset(self) -> float:
        """β = c0 in the energies' own unit: ⟨max⟩ above the mean, over the variance of one energy."""
        return self.slope / self.scale**2

    @property
    def ends(self) -> tuple[float, float, float, float, float]:
        """Where the table of g ends in u and in β, g there, the power it goes on with, places per unit."""
        return self._u_top, self.top, self._top_drive, self._drive_power, self._per_unit

    def drive(self, beta: float) -> float:
        """g(β) = c0 - Φ'(β) for one float, as compiled code reads the tables."""
        u = math.log1p(beta * self.scale)
        if u >= self._u_top:
            return self._top_drive * (self.top / beta) ** self._drive_power
        start, per_unit, first = self._scalar_places[int(u * self._per_unit)]
        x = (u - start) * per_unit
        cell = int(x)
        x -= cell
        a, b, c, d, e, f = self._scalar_cells[first + cell]
        return math.exp(a + x * (b + x * (c + x * (d + x * (e + x * f)))))

    def drives(self, beta: np.ndarray) -> np.ndarray:
        """g(β), vectorised; zero at infinite β."""
        return self._evaluate(self._drive, beta, self._drive_power)[0]

    def variance(self, beta: np.ndarray) -> np.ndarray:
        """Φ''(β) = -dg/dβ, vectorised."""
        value, slope = self._evaluate(self._drive, beta, self._drive_power)
        return -value * slope

    def hard_loss(self, beta: np.ndarray) -> np.ndarray:
        """Λ(β) = Φ(β) - c0 β - c1, the loss against hard labels, vectorised."""
        return self._evaluate(self._loss, beta, self._loss_power)[0]

    def _evaluate(self, table: Quintic, beta: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
        """Values, and logarithmic slopes in β."""
        beta = np.asarray(beta, dtype=float)
        u = np.minimum(np.log1p(np.minimum(beta, 1e300) * self.scale), self._u_top)
        value, slope = table(u)
        with np.errstate(divide="ignore", under="ignore"):
            beyond = np.where(beta > self.top, (self.top / np.maximum(beta, self.top)) ** power, 1.0)
            slope = np.where(
                beta > self.top, -power / np.maximum(beta, self.top), slope * self.scale * np.exp(-u)
            )
        return np.exp(value) * beyond, slope

    def aligned_loss(self, beta: np.ndarray, beta_star: float) -> np.ndarray:
        """L(β, β*) = ∫_β^β* (t - β) Φ''(t) dt, accurate in relative terms however small."""
        beta = np.asarray(beta, dtype=float)
        if math.isinf(beta_star):
            return self.hard_loss(beta)
        star = np.array(beta_star)
        drive, loss = float(self.drives(star)), float(self.hard_loss(star))
        total = self.hard_loss(beta) - loss + (beta - beta_star) * drive
        near = np.abs(beta - beta_star) < 0.3 * beta_star
        if near.any():
            half = 0.5 * (beta_star - beta[near])
            at = beta_star - half[:, None] * (1.0 - _GAUSS_NODES)
            close = half**2 * ((1.0 + _GAUSS_NODES) * self.variance(at) * _GAUSS_WEIGHTS).sum(axis=-1)
            total = np.asarray(total)
            total[near] = close
        return total


def _scale(energies: Energies) -> float:
    """Return the unit of energy."""
    spread = math.sqrt(energies.core.variance) if math.isfinite(energies.core.variance) else 1.0
    return max(energies.scale * spread, 1e-300)


def _grid(energies: Energies) -> _Grid:
    return _FINE if energies.core is STANDARD_NORMAL else _COARSE


@functools.lru_cache(maxsize=32)
def _cached(n: float, energies: Energies, farthest: float) -> Interpolant:
    return Interpolant(n, energies, farthest)


def interpolant(n: float, energies: Energies = STANDARD_NORMAL, coldest: float = math.inf) -> Interpolant:
    """Return the interpolant of n energies, built once, on tables that need not go on beyond β = coldest."""
    if n < 2:
        fail("n", "must be >= 2 for a student to learn anything", f"{n:g}", "give the number of classes")
    grid, needed = _grid(energies), coldest * _scale(energies)
    farthest = grid.farthest
    if needed < farthest:  # whole decades, so that few tables serve all
        farthest = max(grid.last, 10.0 ** math.ceil(math.log10(max(needed, 1.0))))
    return _cached(float(n), energies, farthest)
