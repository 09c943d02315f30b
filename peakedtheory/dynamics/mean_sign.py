"""Mean sign of a mini-batch gradient, a sum of few terms of very unequal size: docs/dynamics.md, Eqs. 46-48.

The gradient of a weight is a sum over the batch of e x with e = p - q of its row. Given the e of all examples
it is a Gaussian of variance Σe², so what a sign sees is ⟨Σ e z / √(Σ e²)⟩, not ⟨Σ e z⟩/√⟨Σ e²⟩.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from peakedtheory._common.checks import fail
from peakedtheory.dynamics.surface import Surface
from peakedtheory.kernels import weights as kernel
from peakedtheory.kernels.lanes import LANES
from peakedtheory.kernels.signs import mean_signs

#: Draws of the classes of one example; its three highest z, their w and the gap come from a Sobol sequence.
_LOG2_DRAWS, _SOBOL_DIMENSIONS, _SEED = 11, 7, 20260203
#: Up to so many classes are drawn one by one. Of more, the highest by z and the farthest out are.
_ONE_BY_ONE, _HIGHEST, _FARTHEST_OUT = 96, 4, 32
#: Nodes in z and w for all the others, by quantiles that crowd at both ends.
_NODES_Z, _NODES_W = 10, 6
#: How far out a class may be, for the inverse of its probability.
_DISTANCE = np.linspace(0.0, 9.0, 20001)
_LN_BEYOND = np.log(0.25 * np.exp(-0.5 * _DISTANCE**2) + ndtr(-_DISTANCE))
#: Distance of the table's points in ln(1 + D) and asinh ρ, and about how long one takes.
_STEP, _SECONDS = 0.45, 2e-3
#: The residual at which the response to residuals is read off where there is none.
_FAINT = 0.3
#: And of the alignment: up to here the response to residuals does not depend on them where few examples meet
#: a boundary, and there their own noise would drown it.
_FLAT = 0.03
#: Largest alignment and residual tabulated against hard labels.
_FARTHEST, _WIDEST = 300.0, 30.0


class _Classes(NamedTuple):
    """Draws of n pairs of standard normals z and w.

    `second` is the survival probability of the second highest z and `uniform` of the gap above it; the
    highest z itself depends on how the gap is drawn. Entries of z, w and `multiplicity` (blocks, classes,
    LANES), a draw in each lane, stand for so many classes each.
    """

    second: np.ndarray
    uniform: np.ndarray
    z: np.ndarray
    w: np.ndarray
    multiplicity: np.ndarray


def _far_out(rng: np.random.Generator, draws: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the pairs that are farthest out in whichever direction between z and w favours them, and how far.

    The highest logit D z + ρ w is among them whatever D and ρ. With both positive a pair is as far out as its
    distance from the origin, else as the larger of the two.
    """
    shape = draws, _FARTHEST_OUT
    spacing = rng.standard_exponential(shape) / (n - np.arange(_FARTHEST_OUT))
    beyond = np.log(-np.expm1(-np.cumsum(spacing, axis=1)))
    far = np.interp(beyond, _LN_BEYOND[::-1], _DISTANCE[::-1])
    share = 0.25 * far / (0.25 * far + 1.0 / math.sqrt(2.0 * math.pi))
    which, angle = rng.random(shape), 0.5 * math.pi * rng.random(shape)
    negative = -np.abs(rng.standard_normal(shape))
    around, by_w = which < share, which < 0.5 * (1.0 + share)
    z = np.where(around, far * np.cos(angle), np.where(by_w, negative, far))
    w = np.where(around, far * np.sin(angle), np.where(by_w, far, negative))
    return z, w, far[:, -1:]


def _quantiles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a mean over probabilities."""
    x, weight = np.polynomial.legendre.leggauss(count)
    x = 0.5 * (1.0 + x)
    return x * x * (3.0 - 2.0 * x), 3.0 * x * (1.0 - x) * weight


def _others(lowest: np.ndarray, far: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes z, w and shares of classes below `lowest` in z and not as far out as `far`, both (draws, 1)."""
    (at_z, weight_z), (at_w, weight_w) = _quantiles(_NODES_Z), _quantiles(_NODES_W)
    within = ndtr(np.minimum(lowest, far))
    z = ndtri(within * at_z)
    up_to = ndtr(np.where(z > 0.0, np.sqrt(np.maximum(far**2 - z**2, 0.0)), far))
    w = ndtri(up_to[:, :, None] * at_w)
    share = (weight_z * up_to)[:, :, None] * weight_w
    share = share.reshape(far.shape[0], -1)
    return np.repeat(z, _NODES_W, axis=1), w.reshape(share.shape), share / share.sum(axis=1, keepdims=True)


@functools.lru_cache(maxsize=16)
def _classes(n: int) -> _Classes:
    from scipy.stats import qmc  # slow to import, and of use to sign descent alone

    k = n if n <= _ONE_BY_ONE else _HIGHEST
    sobol = qmc.Sobol(_SOBOL_DIMENSIONS, rng=np.random.default_rng(_SEED)).random_base2(_LOG2_DRAWS)
    sobol = np.clip(sobol, 1e-12, 1.0 - 1e-12)
    draws = sobol.shape[0]
    rng = np.random.default_rng(_SEED + 1)
    spacing = rng.standard_exponential((draws, k))
    spacing[:, : min(3, k)] = -np.log(sobol[:, 1 : 1 + min(3, k)])
    survival = -np.expm1(-np.cumsum(spacing / (n - np.arange(k)), axis=1)[:, 1:])
    w = rng.standard_normal((draws, k))
    w[:, : min(3, k)] = ndtri(sobol[:, 4 : 4 + min(3, k)])
    z = np.concatenate([np.zeros((draws, 1)), -ndtri(survival)], axis=1)
    multiplicity = np.ones((draws, k))
    if n > k:
        lowest = z[:, -1:]
        far_z, far_w, far = _far_out(rng, draws, n)
        kept = far_z < lowest  # the others are among the highest
        other_z, other_w, share = _others(lowest, far)
        z = np.concatenate([z, np.where(kept, far_z, 0.0), other_z], axis=1)
        w = np.concatenate([w, np.where(kept, far_w, 0.0), other_w], axis=1)
        rest = (n - k - kept.sum(axis=1, keepdims=True)) * share
        multiplicity = np.concatenate([multiplicity, kept, rest], axis=1)
    columns = (
        np.ascontiguousarray(a.reshape(-1, LANES, a.shape[1]).swapaxes(1, 2)) for a in (z, w, multiplicity)
    )
    return _Classes(survival[:, 0], sobol[:, 0], *columns)


def mean_ratio(
    alignment: float, residual: float, beta_star: float, n: int, batch: float, sampled: bool = False
) -> tuple[float, float]:
    """Return -⟨Σ e z/√(Σ e²)⟩ and ⟨Σ e w/√(Σ e²)⟩/ρ of one row over a batch (Eq. 47).

    e = p - q, or, where labels are sampled, p less one for the class that is drawn from q.
    """
    residual = max(residual, _FAINT)
    second, uniform, z, w, multiplicity = _classes(int(n))
    beta = math.hypot(alignment, residual)
    rate = math.sqrt(2.0 * math.log(n)) + 0.5
    narrow = min(1.0, 0.6 * rate * (1.0 / max(beta_star, 1e-9) + (1.0 + residual) / max(beta, 1e-9)))
    # The gap in units of the tail: half of the draws are Exp(1), half are as narrow as the boundary layer.
    # Each half of a Sobol sequence is balanced by itself.
    gap = -np.log(uniform) * np.where(np.arange(uniform.size) < uniform.size // 2, narrow, 1.0)
    weight = 1.0 / (0.5 + 0.5 * np.exp(np.minimum(gap - gap / narrow, 700.0)) / narrow)
    highest = -ndtri(second * np.exp(-gap))
    along, across = mean_signs(
        weight.reshape(-1, LANES),
        highest.reshape(-1, LANES),
        z,
        w,
        multiplicity,
        float(alignment),
        residual,
        float(beta_star),
        float(n),
        float(batch),
        sampled,
    )
    return -along, across / residual


class SignTable:
    """`mean_ratio` over (D, ρ) for one (n, β*, B) and kind of labels, where a flow comes by.

    The first as it is, the second by its logarithm.
    """

    def __init__(self, n: int, beta_star: float, batch: float, sampled: bool) -> None:
        self._problem = beta_star, n, batch, sampled
        limit = _FARTHEST if math.isinf(beta_star) else min(max(1.5 * beta_star, 10.0), _FARTHEST)
        rows, columns = (2 + int(end / _STEP) for end in (math.log1p(limit), math.asinh(_WIDEST)))
        self._surface = Surface(self._node, rows, columns, parts=2, seconds=_SECONDS)
        #: Arguments of the compiled functions that take mean signs.
        self.tables = (np.array([_STEP, limit, _WIDEST]), self._surface.cells)
        _classes(n)  # before threads share them

    def _node(self, i: int, j: int) -> tuple[float, float]:
        alignment, residual = math.expm1(_STEP * i), math.sinh(_STEP * j)
        along, response = mean_ratio(alignment, residual, *self._problem)
        if max(residual, _FAINT) < _FLAT * alignment:
            response = mean_ratio(alignment, _FLAT * alignment, *self._problem)[1]
        if response <= 0.0:
            _, n, batch, _ = self._problem
            fail(
                "batch",
                "must leave a mean sign that stands out of its sampling noise",
                f"{batch:g} at n={n}",
                "take another batch",
            )
        return along, math.log(response)

    def fill(self, cell: int) -> None:
        """Compute the cell that a kernel has found missing."""
        self._surface.fill(cell)

    def __call__(self, alignment: float, residual: float) -> tuple[float, float]:
        """Return both means at one (D, ρ)."""
        while True:
            along, response, missing = kernel.mean_signs_at(alignment, residual, *self.tables)
            if missing < 0:
                return along, response
            self.fill(missing)


@functools.lru_cache(maxsize=16)
def sign_table(n: int, beta_star: float, batch: float, sampled: bool = False) -> SignTable:
    """Return the table for n classes, this teacher, batch and labels, kept as far as it is computed."""
    return SignTable(n, beta_star, batch, sampled)
