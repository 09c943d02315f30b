"""Forces on a student of finite width and the noise of its mini-batches, at one state: docs/dynamics.md.

Two lists of constants and four tables describe a problem. `c` and `v` are laid out as named here; `places`,
`drives` and `cumulants` hold g(β), X(β) and what follows from them; `surface` holds V(D, ρ), each cell
computed where a flow first comes by and NaN until then.
"""

import math

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.lanes import inner

#: Constants of the forces.
(N, KURTOSIS, SLOPE, DRIVE_STAR, LIMIT, X_STAR, FALL_STAR, ROW_VARIANCE, STILL, SENSITIVITY) = range(10)
#: Of the tables of g, constant in ln beyond `U_TOP`, and of X and its companions, which end at β = `LAST`.
(U_TOP, TOP, TOP_DRIVE, DRIVE_POWER, PER_PLACE) = range(10, 15)
(LAST, PER_CELL, LAST_X, LAST_RATIO, LAST_STEEPNESS) = range(15, 20)
CONSTANTS = 20
#: Constants of the noise: units of D and ρ and the surface's step, largest D and ρ, quadratic form, β*.
(FIRST, WIDE, STEP, FARTHEST, WIDEST, TURN, STRETCH, STAR) = range(8)
NOISE_CONSTANTS = 8
#: Columns of `cumulants`: X, G/g, β Φ''/g and X/Φ', six powers each.
_X, _RATIO, _STEEPNESS, _SHARE = 0, 6, 12, 18
#: β below which Φ'(β)/β is its limit Φ''(0).
SMALL = 1e-5
#: Width of the rounded corner where the heterogeneity of class rates meets its bound of one.
CORNER = 0.02


@inner
def quintic(row, first, t):
    """Value of the polynomial whose six coefficients begin at `first`."""
    value = row[first + 5]
    for power in range(4, -1, -1):
        value = row[first + power] + t * value
    return value


@inner
def biquintic(cell, i, j):
    """Value of a cell's polynomial, coefficients by powers of i and of j."""
    value = quintic(cell[5], 0, j)
    for power in range(4, -1, -1):
        value = value * i + quintic(cell[power], 0, j)
    return value


@inner
def drive_at(beta, c, places, drives):
    """g(β) = c0 - Φ'(β). A table is never entered with a number that is none."""
    u = math.log1p(beta)
    if not u < c[U_TOP]:
        return c[TOP_DRIVE] * (c[TOP] / beta) ** c[DRIVE_POWER]
    place = places[int(u * c[PER_PLACE])]
    t = (u - place[0]) * place[1]
    cell = int(t)
    return math.exp(quintic(drives[int(place[2]) + cell], 0, t - cell))


@inner
def cumulant(beta, c, places, drives, cumulants):
    """X and G, and for Gaussian logits g and Φ'', at β > 0."""
    drive = drive_at(beta, c, places, drives)
    if not beta < c[LAST]:
        x = c[LIMIT] - (c[LIMIT] - c[LAST_X]) * (c[LAST] / beta) ** 2
        return x, c[LAST_RATIO] * drive, drive, c[LAST_STEEPNESS] * drive / beta
    t = math.log1p(beta) * c[PER_CELL]
    cell = int(t)
    row, t = cumulants[cell], t - cell
    steepness = quintic(row, _STEEPNESS, t)
    return quintic(row, _X, t), quintic(row, _RATIO, t) * drive, drive, steepness * drive / beta


@inner
def forces(d, square, a, started, c, places, drives, cumulants):
    """dD/dτ, da/dτ, the mean rate k of decay of the residual, and V over that of Gaussian logits.

    Rows are W_i = (D + a ε_i) W_i* + R_i, ε_i = ln |w_i*| less its mean (Eqs. 35-39). `started` is what is
    left of the student's own first weights, whose entries are uniform as the teacher's; the rest of the
    squared residual is noise, and Gaussian.
    """
    n, kurtosis, top, drive_star, limit = c[N], c[KURTOSIS], c[SLOPE], c[DRIVE_STAR], c[LIMIT]
    beta = math.sqrt(d * d + square)
    if beta < SMALL:
        pull = (top - drive_star) / n - c[STILL] * d + kurtosis / n * (limit - c[FALL_STAR])
        return pull, 24.0 * c[X_STAR] / n - c[STILL] * a, c[STILL], 1.0
    x, fall, drive, variance = cumulant(beta, c, places, drives, cumulants)
    inverse = 1.0 / beta
    cosine = d * inverse
    turned = square * inverse * inverse
    turn = turned / (1.0 + cosine) if cosine > 0.0 else 1.0 - cosine
    own = started * started / max(square, 0.5 * started) if started > 1e-300 else 0.0
    stiffness = (top - drive) * inverse
    rise = limit - fall  # χ'(β)
    c2 = cosine * cosine
    c3 = c2 * cosine
    kept = started * inverse * inverse
    fourth = kept * kept
    # Of 1 - c⁵ = (1 - c)(1 + c + c² + c³ + c⁴) nothing cancels while ρ ≪ D.
    power = turn * (1.0 + cosine + c2 + c3 + c2 * c2)
    pull = drive * cosine - drive_star + top * turn
    pull -= kurtosis * (
        4.0 * cosine * x * (c2 * turned - fourth) + (cosine * fourth - power) * rise - fall + c[FALL_STAR]
    )
    noise = kurtosis * (c2 * c2 + fourth) * inverse * (rise - 4.0 * x)
    tilt = cosine * inverse * a
    y = c2 + tilt
    grip = 12.0 * beta * x
    turning = 2.0 * cosine * inverse * (turned - tilt) + a * inverse * inverse  # dy/dD
    pull -= c[ROW_VARIANCE] * (
        12.0 * rise * cosine * tilt * (c2 + y)
        + 0.5 * (variance - stiffness) * inverse * cosine * a * a
        + grip * (2.0 * y * turning - 4.0 * c3 * turned * inverse)
    )
    push = 24.0 * c[X_STAR] - stiffness * a - 2.0 * grip * y * cosine * inverse
    decay = stiffness + noise + 4.0 * kurtosis * own * x * inverse * inverse * inverse
    return pull / n, push / n, decay / n, 1.0 + noise / stiffness


@inner
def spread(d, square, a, c, places, drives, cumulants):
    """Heterogeneity of class rates, in units of that of a cold aligned student, from 0 to 1 (Eq. 45)."""
    beta = max(math.sqrt(d * d + square), 1e-9)
    if beta < c[LAST]:
        t = math.log1p(beta) * c[PER_CELL]
        cell = int(t)
        share = quintic(cumulants[cell], _SHARE, t - cell)
    else:
        x = c[LIMIT] - (c[LIMIT] - c[LAST_X]) * (c[LAST] / beta) ** 2
        share = x / (c[SLOPE] - drive_at(beta, c, places, drives))
    relative = d * (d + a) / (beta * beta)
    below = (1.0 - 24.0 * share * relative / c[SENSITIVITY]) / CORNER
    return 1.0 - CORNER * (math.log1p(math.exp(below)) if below < 50.0 else min(below, 1.0 / CORNER))


@inner
def noise(d, rho, v, surface):
    """V at one (D, ρ), and the cell of the surface that is missing for it, or -1."""
    limit, widest, turn = v[FARTHEST], v[WIDEST], v[TURN]
    # Once both are large only their ratio is left; under hard labels a large D alone goes on as 1/D.
    if rho > widest:
        d, rho = d * widest / rho, widest
    if turn > 0.0 and d > limit:
        d, rho = limit, rho * limit / d
    beyond = limit / d if d > limit else 1.0
    d = min(d, limit) if d > 0.0 else 0.0
    rho = rho if rho > 0.0 else 0.0
    i, j = math.log1p(d / v[FIRST]) / v[STEP], math.asinh(rho / v[WIDE]) / v[STEP]
    row, column = int(i), int(j)
    cell = surface[row, column]
    missing = row * surface.shape[1] + column if math.isnan(cell[0, 0]) else -1
    value = math.exp(biquintic(cell, i - row, j - column))
    if turn > 0.0:
        return value * (turn * rho * rho + v[STRETCH] * (d - v[STAR]) ** 2 + 1e-300), missing
    return value * beyond, missing


@cached_njit(error_model="numpy", nogil=True)
def fill_forces(d, square, a, started, c, places, drives, cumulants, out):
    """Fill the rows of out with the four `forces`, for arrays of states."""
    for k in range(d.size):
        out[0, k], out[1, k], out[2, k], out[3, k] = forces(
            d[k], square[k], a[k], started[k], c, places, drives, cumulants
        )


@cached_njit(error_model="numpy", nogil=True)
def fill_spread(d, square, a, c, places, drives, cumulants, out):
    """Fill out with `spread` for arrays of D, ρ² and a."""
    for k in range(d.size):
        out[k] = spread(d[k], square[k], a[k], c, places, drives, cumulants)


@cached_njit(error_model="numpy", nogil=True)
def fill_noise(d, rho, v, surface, out):
    """Fill out with V for arrays of D and ρ; return the first cell that is missing, or -1."""
    for k in range(d.size):
        out[k], missing = noise(d[k], rho[k], v, surface)
        if missing >= 0:
            return missing
    return -1
