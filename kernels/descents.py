"""Equations of gradient descent at infinite and finite width: docs/dynamics.md, Eqs. 3-9 and 41-45.

Each function fills `out` with what an integrator in x = ln t asks for, and returns the first cell of the
noise's surface that is missing for it, or -1. The tables of forces are those of `forces`.
"""

import math

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.forces import forces, noise, spread
from peakedtheory.kernels.lanes import inner
from peakedtheory.kernels.rates import rate_at

#: Constants of a descent: speed, weight decay, 1 - 1/n and how much of ρ² is there at τ = `SHIFT`; what
#: drawing the labels adds to V, and how unequally classes share it.
(SPEED, DECAY, MOVING, INITIAL, SHIFT, DRAW, DRAW_SPREAD) = range(7)
DESCENT_CONSTANTS = 7
#: Rows of a spectrum of relaxation rates: their distance from the mean, their weights, and both multiplied.
_OFFSET, _WEIGHT, _BIASED = range(3)


@inner
def _core(d, a, started, total, tilt, s, c, places, drives, cumulants):
    """dD/dτ, da/dτ, k, C, what boundaries see of the squared residual (Eq. 45), and V's ratio."""
    uneven = spread(d, total, a, c, places, drives, cumulants) if total > 0.0 else 1.0
    seen = max(total + uneven * tilt, 0.0)
    pull, push, stiffness, ratio = forces(d, seen, a, started, c, places, drives, cumulants)
    speed, decay = s[SPEED], s[DECAY]
    return speed * pull - decay * d, speed * push - decay * a, speed * stiffness, uneven, seen, ratio


@cached_njit(error_model="numpy", nogil=True)
def gaussian_rates(x, y, s, c, places, drives, cumulants, out):
    """At infinite width, without noise: D and ρ²."""
    t, square = math.exp(x), max(y[1], 0.0)
    pull, _, stiffness, _ = forces(y[0], square, 0.0, 0.0, c, places, drives, cumulants)
    out[0] = t * (s[SPEED] * pull - s[DECAY] * y[0])
    out[1] = -2.0 * t * (s[SPEED] * stiffness + s[DECAY]) * square
    return -1


@cached_njit(error_model="numpy", nogil=True)
def quiet_rates(x, y, spectrum, s, c, places, drives, cumulants, out):
    """Without noise: D, a, ∫k dτ and ∫Ck dτ."""
    t = math.exp(x)
    offset, weight, biased = spectrum[_OFFSET], spectrum[_WEIGHT], spectrum[_BIASED]
    left = s[INITIAL] * math.exp(-2.0 * s[DECAY] * (t - s[SHIFT]))
    total = tilt = 0.0
    for i in range(offset.size):
        fallen = max(y[2] + offset[i] * y[3], 0.0)
        square = left * math.exp(-2.0 * fallen / s[MOVING])
        total += weight[i] * square
        tilt += biased[i] * square
    started = left * math.exp(-2.0 * y[2])
    pull, push, stiffness, uneven, _, _ = _core(
        y[0], y[1], started, total, tilt, s, c, places, drives, cumulants
    )
    out[0], out[1], out[2], out[3] = t * pull, t * push, t * stiffness, t * uneven * stiffness
    return -1


@inner
def _sums(y, spectrum):
    total = tilt = 0.0
    for i in range(spectrum.shape[1]):
        total += spectrum[_WEIGHT, i] * y[3 + i]
        tilt += spectrum[_BIASED, i] * y[3 + i]
    return total, tilt


@cached_njit(error_model="numpy", nogil=True)
def noisy_rates(x, y, gains, spectrum, s, c, places, drives, cumulants, v, surface, out):
    """D, a, what is left of the first weights, and ρ² at each rate, which grows by a gain times V."""
    t = math.exp(x)
    gain = rate_at(t - s[SHIFT], gains)
    offset = spectrum[_OFFSET]
    total, tilt = _sums(y, spectrum)
    pull, push, stiffness, uneven, seen, ratio = _core(
        y[0], y[1], max(y[2], 0.0), total, tilt, s, c, places, drives, cumulants
    )
    variance, missing = noise(y[0], math.sqrt(seen), v, surface)
    up, drawn = t * ratio * gain * variance / s[MOVING], t * gain * s[DRAW] / s[MOVING]
    loss, lost = 2.0 * t * stiffness / s[MOVING], 2.0 * t * s[DECAY]
    out[0], out[1], out[2] = t * pull, t * push, -2.0 * t * (stiffness + s[DECAY]) * max(y[2], 0.0)
    for i in range(offset.size):
        square = y[3 + i]
        out[3 + i] = (1.0 + uneven * offset[i]) * (up - loss * square) - lost * square
        out[3 + i] += (1.0 + s[DRAW_SPREAD] * offset[i]) * drawn
    return missing


@inner
def _act(point, gain, s, c, places, drives, cumulants, v, surface, out):
    """Fill out with dD/dτ, da/dτ, k, C and the growth of ρ² by noise at D, a, started, total and tilt."""
    pull, push, stiffness, uneven, seen, ratio = _core(
        point[0], point[1], point[2], point[3], point[4], s, c, places, drives, cumulants
    )
    variance, missing = noise(point[0], math.sqrt(seen), v, surface)
    out[0], out[1], out[2], out[3], out[4] = (
        pull,
        push,
        stiffness,
        uneven,
        ratio * gain * variance / s[MOVING],
    )
    return missing


@inner
def _differences(point, gain, s, c, places, drives, cumulants, v, surface, acts):
    """Fill acts (6, 5) with what `_act` gives now, and its derivatives with the five numbers."""
    missing = _act(point, gain, s, c, places, drives, cumulants, v, surface, acts[0])
    for j in range(5):
        before = point[j]
        moved = 1e-7 * abs(before) + 1e-9
        point[j] = before + moved
        missing = max(missing, _act(point, gain, s, c, places, drives, cumulants, v, surface, acts[j + 1]))
        point[j] = before
        for f in range(5):  # slices would compile for seconds
            acts[j + 1, f] = (acts[j + 1, f] - acts[0, f]) / moved
    return missing


@cached_njit(error_model="numpy", nogil=True)
def noisy_jacobian(x, y, gains, spectrum, s, c, places, drives, cumulants, v, surface, out):
    """Of `noisy_rates`, by differences in the five numbers through which variables act on each other.

    The noise of drawing labels depends on none of them.
    """
    t = math.exp(x)
    gain = rate_at(t - s[SHIFT], gains)
    offset, weight, biased = spectrum[_OFFSET], spectrum[_WEIGHT], spectrum[_BIASED]
    size = y.size
    point = np.empty(5)
    for k in range(3):
        point[k] = y[k]
    point[3], point[4] = _sums(y, spectrum)
    acts = np.empty((6, 5))
    missing = _differences(point, gain, s, c, places, drives, cumulants, v, surface, acts)
    if missing >= 0:
        return missing
    by = np.empty((5, size))
    for f in range(5):
        for k in range(3):
            by[f, k] = acts[1 + k, f]
        for i in range(offset.size):
            by[f, 3 + i] = acts[4, f] * weight[i] + acts[5, f] * biased[i]
    stiffness, uneven, up = acts[0, 2], acts[0, 3], acts[0, 4]
    loss, decay = 2.0 * stiffness / s[MOVING], s[DECAY]
    for k in range(size):
        out[0, k], out[1, k], out[2, k] = t * by[0, k], t * by[1, k], -2.0 * t * y[2] * by[2, k]
        for i in range(offset.size):
            pace, square = 1.0 + uneven * offset[i], y[3 + i]
            change = pace * (by[4, k] - 2.0 / s[MOVING] * square * by[2, k])
            out[3 + i, k] = t * (change + offset[i] * (up - loss * square) * by[3, k])
    out[2, 2] -= 2.0 * t * (stiffness + decay)
    for i in range(offset.size):
        out[3 + i, 3 + i] -= t * ((1.0 + uneven * offset[i]) * loss + 2.0 * decay)
    return -1
