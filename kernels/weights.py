"""Adam and sign descent on weights of equal teacher entry ω: docs/dynamics.md, Eqs. 27-33 and 46-50.

Rows of `nodes` are ω > 0, its weights, and these times ω and ω². Each function fills `out` with what an
integrator in x, ln of the steps, asks for, and returns the first cell of the noise's surface that is missing
for it, or -1. The tables of forces are those of `forces`.
"""

import math

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.forces import SENSITIVITY, biquintic, forces, noise, quintic
from peakedtheory.kernels.lanes import inner
from peakedtheory.kernels.rates import rate_at

#: Constants of a descent: width, 1/(nB), weight decay, and ln β of the second and first moments, 0 for none;
#: what drawing the labels adds to V, and to the slope of a row's variance beyond what the rest would add; how
#: variance tilts with ω² - 1, relative to its mean, and what drawing labels adds to that beyond the rest.
(WIDTH, PER_WEIGHT, DECAY, FORGET, TURN, DRAW, UNEVEN, TILT, DRAW_TILT) = range(9)
WEIGHT_CONSTANTS = 9
#: Constants of the table of mean signs: step in ln(1 + D) and asinh ρ, largest D and ρ.
(_STEP, _FARTHEST, _WIDEST) = range(3)
#: Rows of `nodes`.
_OMEGA, _WEIGHT, _ALONG, _ROW = range(4)
#: Square of Adam's own ε, 1e-8; without it steps grow without bound where all of the gradient has vanished.
TINY = 1e-16
#: Largest |ln v| of which the exponential is taken, in trial states.
_BOUND = 1400.0


@inner
def _moments(y, square, nodes, across):
    """D and ρ² of θ(ω), and `across` the deviations θ - Dω."""
    count = nodes.shape[1]
    d, residual = 0.0, square
    for i in range(count):
        d += nodes[_ALONG, i] * y[i]
    for i in range(count):
        across[i] = y[i] - d * nodes[_OMEGA, i]
        residual += nodes[_WEIGHT, i] * across[i] * across[i]
    return d, residual


@inner
def _gradient(d, residual, a, w, c, places, drives, cumulants, v, surface):
    """dD/dτ, da/dτ, the rate k, the gradient variance of one weight (Eq. 27), and the missing cell."""
    pull, push, stiffness, ratio = forces(d, residual, a, 0.0, c, places, drives, cumulants)
    variance, missing = noise(d, math.sqrt(residual), v, surface)
    return pull, push, stiffness, (ratio * variance + w[DRAW]) * w[PER_WEIGHT], missing


@cached_njit(error_model="numpy", nogil=True)
def adam_start(d, square, nodes, w, c, places, drives, cumulants, v, surface, out):
    """Variables of `adam_rates` before the first step; as far as D the student is its teacher."""
    pull, push, stiffness, variance, missing = _gradient(
        d, square, 0.0, w, c, places, drives, cumulants, v, surface
    )
    m, count = w[WIDTH], nodes.shape[1]
    slope, uneven = 0.0, variance * c[SENSITIVITY] + w[UNEVEN]
    for i in range(count):
        omega = nodes[_OMEGA, i]
        mean = pull * omega
        own = variance + (variance * w[TILT] + w[DRAW_TILT]) * (omega * omega - 1.0)
        second = (mean * mean + stiffness * stiffness * square) / m + own + TINY
        out[i], out[count + 1 + i], out[2 * count + 1 + i] = d * omega, math.log(second), mean
        slope += nodes[_ROW, i] * (2.0 / m * push * omega * mean + uneven) / second
    last = 3 * count + 1
    out[count], out[last], out[last + 1], out[last + 2] = square, 0.0, slope, push
    return missing


@inner
def _forgets(step, memory):
    """Rate at which a bias-corrected mean forgets, Eqs. 28-29: it reaches over min(t, 1/(1 - β)) steps."""
    return memory / math.expm1((step + 1.0) * memory) if memory < 0.0 else 1.0


@cached_njit(error_model="numpy", nogil=True)
def adam_rates(x, y, plan, nodes, w, c, places, drives, cumulants, v, surface, out):
    """Adam: θ(ω), s², ln v(ω), μ(ω), a, u, μ_a."""
    t = math.exp(x)
    eta, forget, turn = rate_at(t, plan), _forgets(t, w[FORGET]), _forgets(t, w[TURN])
    count = nodes.shape[1]
    seconds, firsts, last = y[count + 1 :], y[2 * count + 1 :], 3 * count + 1
    square, a, slope, row_first = max(y[count], 0.0), y[last], y[last + 1], y[last + 2]
    across = np.empty(count)
    d, residual = _moments(y, square, nodes, across)
    pull, push, stiffness, variance, missing = _gradient(
        d, residual, a, w, c, places, drives, cumulants, v, surface
    )
    m, inertia = w[WIDTH], w[TURN] < 0.0
    pace, lost = t * eta, t * eta * w[DECAY]
    forget, turn = t * forget, t * turn
    common = stiffness * stiffness * square / m + TINY
    uneven, tilted = variance * c[SENSITIVITY] + w[UNEVEN], variance * w[TILT] + w[DRAW_TILT]
    damping = spent = moved = row_damping = gained = kept = 0.0
    for i in range(count):
        omega, weight, row = nodes[_OMEGA, i], nodes[_WEIGHT, i], nodes[_ROW, i]
        mean = pull * omega - stiffness * across[i]
        inverse = math.exp(-0.5 * max(seconds[i], -_BOUND))
        step = (firsts[i] if inertia else mean) * inverse
        out[i] = pace * step - lost * y[i]
        moved += weight * omega * step
        damping += weight * inverse
        row_damping += row * inverse
        inverse *= inverse
        own = variance + tilted * (omega * omega - 1.0)
        spent += weight * own * inverse
        ratio = (mean * mean / m + common + own) * inverse
        out[count + 1 + i] = forget * (ratio - 1.0)
        gained += row * inverse * (2.0 * push / m * omega * mean + uneven)
        kept += row * ratio
        out[2 * count + 1 + i] = turn * (mean - firsts[i])
    out[count] = pace * (eta * m * spent - 2.0 * stiffness * damping * square) - 2.0 * lost * square
    out[last] = pace * ((row_first if inertia else push) * row_damping - 0.5 * slope * moved) - lost * a
    out[last + 1] = forget * (gained - slope * kept)
    out[last + 2] = turn * (push - row_first)
    return missing


@inner
def _force_slopes(d, residual, a, now, w, c, places, drives, cumulants, v, surface, by):
    """Fill by (3, 4) with derivatives of the forces with D, ρ² and a; the first is of dD/dτ + kD."""
    moved = 1e-7 * abs(d) + 1e-9, 1e-7 * residual + 1e-12, 1e-7 * abs(a) + 1e-9
    missing = -1
    for j in range(3):
        step = moved[j]
        at_d, at_residual, at_a = d, residual, a
        if j == 0:
            at_d = d + step
        elif j == 1:
            at_residual = residual + step
        else:
            at_a = a + step
        by[j, 0], by[j, 1], by[j, 2], by[j, 3], cell = _gradient(
            at_d, at_residual, at_a, w, c, places, drives, cumulants, v, surface
        )
        missing = max(missing, cell)
        for f in range(4):
            by[j, f] = (by[j, f] - now[f]) / step
    by[0, 0] += now[2]
    return missing


@cached_njit(error_model="numpy", nogil=True)
def adam_jacobian(x, y, plan, nodes, w, c, places, drives, cumulants, v, surface, out):
    """Of `adam_rates` with inertia: what acts through the forces, by differences, and what acts directly."""
    t = math.exp(x)
    eta, forget, turn = rate_at(t, plan), _forgets(t, w[FORGET]), _forgets(t, w[TURN])
    count = nodes.shape[1]
    seconds, firsts, last = y[count + 1 :], y[2 * count + 1 :], 3 * count + 1
    square, a, slope, row_first = max(y[count], 0.0), y[last], y[last + 1], y[last + 2]
    across = np.empty(count)
    d, residual = _moments(y, square, nodes, across)
    pull, push, stiffness, variance, missing = _gradient(
        d, residual, a, w, c, places, drives, cumulants, v, surface
    )
    if missing >= 0:
        return missing
    now = np.array([pull, push, stiffness, variance])
    by = np.empty((3, 4))
    missing = _force_slopes(d, residual, a, now, w, c, places, drives, cumulants, v, surface, by)
    if missing >= 0:
        return missing
    # The same with every variable.
    size = y.size
    reach = np.zeros((4, size))
    for f in range(4):
        for i in range(count):
            reach[f, i] = by[0, f] * nodes[_ALONG, i] + by[1, f] * 2.0 * nodes[_WEIGHT, i] * across[i]
        reach[f, count] = by[1, f]
        reach[f, last] = by[2, f]

    m, decay = w[WIDTH], w[DECAY]
    stiff = stiffness * stiffness / m
    faded, uneven = stiffness * square / m, variance * c[SENSITIVITY] + w[UNEVEN]
    tilted = variance * w[TILT] + w[DRAW_TILT]
    for i in range(size):
        for k in range(size):
            out[i, k] = 0.0
    damping = spent = moved = row_damping = rows = felt = kept = 0.0
    by_pull = by_push = by_stiffness = 0.0
    for i in range(count):
        omega, weight, row = nodes[_OMEGA, i], nodes[_WEIGHT, i], nodes[_ROW, i]
        theta, second, first = i, count + 1 + i, 2 * count + 1 + i
        mean = pull * omega - stiffness * across[i]
        inverse = math.exp(-0.5 * max(seconds[i], -_BOUND))
        over = inverse * inverse
        share, own = (1.0 + w[TILT] * (omega * omega - 1.0), variance + tilted * (omega * omega - 1.0))
        ratio = ((mean * mean + stiffness * stiffness * square) / m + own + TINY) * over
        damping, spent = damping + weight * inverse, spent + weight * share * over
        grown, seen = eta * weight * omega * inverse, forget * row * over
        moved, row_damping = moved + grown * firsts[i], row_damping + grown * omega
        rows, felt, kept = rows + seen, felt + share * seen, kept + forget * row * ratio
        by_mean = 2.0 / m * forget * over * mean
        tilt = 2.0 / m * seen * (push * omega - slope * mean)
        by_pull, by_push = by_pull + tilt * omega, by_push + 2.0 / m * seen * mean * omega
        by_stiffness -= tilt * across[i] + 2.0 * slope * seen * faded
        for k in range(size):
            out[second, k] += (
                by_mean * omega * reach[0, k]
                + (2.0 * faded * forget * over - by_mean * across[i]) * reach[2, k]
                + forget * over * share * reach[3, k]
            )
            out[first, k] += turn * (omega * reach[0, k] - across[i] * reach[2, k])
        out[theta, theta] -= eta * decay
        out[theta, second] -= 0.5 * eta * firsts[i] * inverse
        out[theta, first] += eta * inverse
        out[count, second] += eta * weight * (square * stiffness * inverse - eta * m * own * over)
        out[second, theta] -= stiffness * by_mean
        out[second, count] += forget * over * stiff
        out[second, second] -= forget * ratio
        out[first, theta] -= turn * stiffness
        out[first, first] -= turn
        out[last, second] += grown * (0.25 * slope * firsts[i] - 0.5 * row_first * omega)
        out[last, first] -= 0.5 * slope * grown
        out[last + 1, theta] -= stiffness * tilt
        out[last + 1, second] += slope * forget * row * ratio - seen * (
            2.0 / m * mean * push * omega + uneven
        )
    for k in range(size):
        out[count, k] += eta * (eta * m * spent * reach[3, k] - 2.0 * square * damping * reach[2, k])
        out[last + 1, k] += by_pull * reach[0, k] + by_push * reach[1, k] + by_stiffness * reach[2, k]
        out[last + 1, k] += (c[SENSITIVITY] * rows - slope * felt) * reach[3, k]
        out[last + 2, k] += turn * reach[1, k]
    out[count, count] -= 2.0 * eta * (stiffness * damping + decay)
    out[last, last] -= eta * decay
    out[last, last + 1] -= 0.5 * moved
    out[last, last + 2] += row_damping
    out[last + 1, count] -= slope * rows * stiff
    out[last + 1, last + 1] -= kept
    out[last + 2, last + 2] -= turn
    for i in range(size):
        for k in range(size):
            out[i, k] *= t
    return -1


@inner
def _mean_signs(d, rho, g, surface):
    """-⟨Σ e z/√(Σ e²)⟩ and ⟨Σ e w/√(Σ e²)⟩/ρ at one (D, ρ) (Eq. 47), and the cell missing for it, or -1."""
    limit = g[_FARTHEST]
    i = math.log1p(min(d, limit) if d > 0.0 else 0.0) / g[_STEP]
    j = math.asinh(min(rho, g[_WIDEST]) if rho > 0.0 else 0.0) / g[_STEP]
    row, column = int(i), int(j)
    i, j = i - row, j - column
    one, other = surface[0, row, column], surface[1, row, column]
    missing = row * surface.shape[2] + column if math.isnan(one[0, 0]) else -1
    first, second = biquintic(one, i, j), math.exp(biquintic(other, i, j))
    if d < 0.0:  # continued linearly
        first += d / g[_STEP] * quintic(one[1], 0, j)
    # The mean gradient falls as 1/β², the response to residuals as 1/β, the noise of both as 1/√β.
    beyond = limit / d if d > limit else 1.0
    return first * beyond**1.5, second * math.sqrt(beyond), missing


@cached_njit(error_model="numpy", nogil=True)
def mean_signs_at(d, rho, g, surface):
    """Return `_mean_signs` to Python."""
    return _mean_signs(d, rho, g, surface)


@cached_njit(error_model="numpy", nogil=True)
def sign_rates(x, y, plan, nodes, w, g, signs, bare, c, places, drives, cumulants, v, surface, out):
    """Sign descent: θ(ω) and s²; a step is the mean sign of a sum of few terms (Eq. 48).

    `bare` holds the constants of infinite width, of which the table of mean signs is made. A cell that is
    missing in that table is counted down from -2.
    """
    t = math.exp(x)
    eta = rate_at(t, plan)
    count = nodes.shape[1]
    square = max(y[count], 0.0)
    across = np.empty(count)
    d, residual = _moments(y, square, nodes, across)
    pull, _, stiffness, variance, missing = _gradient(
        d, residual, 0.0, w, c, places, drives, cumulants, v, surface
    )
    plain, _, rate, _ = forces(d, residual, 0.0, 0.0, bare, places, drives, cumulants)
    first, second, missing_signs = _mean_signs(d, math.sqrt(residual), g, signs)
    pull, stiffness = first + (pull - plain) / math.sqrt(variance + TINY), second * stiffness / rate
    m, decay = w[WIDTH], w[DECAY]
    pace, root = t * eta, math.sqrt(m)
    scale = 1.0 / math.sqrt(2.0 * (m + stiffness * stiffness * square))
    damping = spread = 0.0
    for i in range(count):
        ratio = (pull * nodes[_OMEGA, i] - stiffness * across[i]) * scale
        sign = math.erf(ratio)
        out[i] = pace * (root * sign - decay * y[i])
        damping += nodes[_WEIGHT, i] * math.exp(-min(ratio * ratio, 700.0))
        spread += nodes[_WEIGHT, i] * (1.0 - sign * sign)
    damping *= 2.0 / math.sqrt(math.pi) * root * scale * stiffness
    out[count] = pace * (eta * m * spread - 2.0 * square * (damping + decay))
    return missing if missing >= 0 else -2 - missing_signs if missing_signs >= 0 else -1
