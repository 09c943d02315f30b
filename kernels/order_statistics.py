"""Moments of the Boltzmann weights over n energies from the k lowest; the other n - k by expectation.

With x = -ε sorted downwards, A = Σ_{j<=k} e^{βx_j}, μ the mean given x_k of the sum over the rest, v and κ
its cumulants of order 2 and 3, and W = A + μ:
<ln Z | top k> = ln W - v/(2W²) + κ/(3W³) - 3v²/(4W⁴) + terms of order four.
Its first and second β-derivatives estimate <x>_p and Var_p(x); Σp² = Z(2β)/Z(β)² is expanded likewise.
"""

import numpy as np

from peakedtheory.kernels.accumulate import (
    FLUSH,
    MASKED,
    QUANTITIES,
    SCRATCH,
    accumulate,
    collect,
    padded_slopes,
    write_lanes,
)
from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import (
    FASTMATH,
    LOG2_E,
    exp2_double,
    inlined,
    log_and_inverse_double,
    log_double,
)
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors

REST_FUNCTIONS = 10
"""Sums over the rest tabulated per β: (n-k) <(x-x_k)^s e^{rβ(x-x_k)} | x < x_k> with, in this order,
(r, s) = (1,0) (1,1) (1,2) (2,0) (2,1) (2,2) (3,0) (3,1) (3,2) (4,0)."""

REST_STRIDE = 8
"""Their polynomials are evaluated this many coefficients at a time: each has 1 + a multiple of it."""

_LEAST_EXPONENT = -1000.0  # e^{β(x_k - x_1)} is held above 2^-1000, far below anything that counts
_MANTISSA = np.int64(52)
_ONE_BITS = np.int64(0x3FF0000000000000)
_L = LANES


@inner
def _hazards(exponentials, start, stop, rates, x):
    """Row j of x: -log2 of the probability of lying below the j-th largest x, by exponential spacings."""
    k = exponentials.shape[1]
    for s in range(_L):
        # samples that do not fill the lanes repeat the last one
        sample = min(start + s, stop - 1)
        for j in range(k):
            x[j * _L + s] = exponentials[sample, j] * rates[j]
    for i in range(_L, k * _L):
        x[i] += x[i - _L]


@inner
def _locate(hazards, count, first, split, least, most, pieces, places):
    """Piece that holds each hazard, 2^split of them to the binade, and the place in [-1, 1) on it."""
    use_wide_vectors()
    shift = _MANTISSA - split
    low_bits = (np.int64(1) << shift) - np.int64(1)
    scale = 2.0 * np.float64(np.int64(1) << split)
    for i in range(count):
        s = hazards[i]
        s = s if s > least else least
        s = s if s < most else most
        bits = np.float64(s).view(np.int64)
        pieces[i] = (bits >> shift) - first
        places[i] = (np.int64((bits & low_bits) | _ONE_BITS).view(np.float64) - 1.0) * scale - 1.0


@inner
def _quantiles(pieces, places, count, coefficients, x):
    """Evaluate the polynomial of each piece; on its own because the look-up does not vectorise."""
    for i in range(count):
        u = places[i]
        c = coefficients[np.uint64(pieces[i])]
        p = ((c[0] * u + c[1]) * u + c[2]) * u + c[3]
        x[i] = (((p * u + c[4]) * u + c[5]) * u + c[6]) * u + c[7]


@inner
def _places(hazard, centre, scale, place):
    """Argument of the rest's polynomials, held within [-1, 1]."""
    use_wide_vectors()
    for s in range(_L):
        t = (log_double(hazard[s]) - centre) * scale
        t = t if t > -1.0 else -1.0
        place[s] = t if t < 1.0 else 1.0


@inlined
def _eight_powers(p, t, c):
    """Go on with a polynomial p by eight coefficients: few enough to stay in registers."""
    p = ((p * t + c[0]) * t + c[1]) * t + c[2]
    p = ((p * t + c[3]) * t + c[4]) * t + c[5]
    return (p * t + c[6]) * t + c[7]


@inner
def _rest_sums(place, polynomials, rest):
    """Evaluate the tabulated sums over the rest, a row each."""
    use_wide_vectors()
    for f in range(REST_FUNCTIONS):
        row = rest[f * _L : (f + 1) * _L]
        first = polynomials[f, 0]
        c = polynomials[f, 1 : 1 + REST_STRIDE]
        c = (c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
        for s in range(_L):
            row[s] = _eight_powers(first, place[s], c)
        for start in range(1 + REST_STRIDE, polynomials.shape[1], REST_STRIDE):
            c = polynomials[f, start : start + REST_STRIDE]
            c = (c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
            for s in range(_L):
                row[s] = _eight_powers(row[s], place[s], c)


@inner
def _finish(top, last, beta, share, sums, rest, results):
    """Expand in the fluctuations of the rest (n - k = 1 / share energies, or none where share is 0).

    sums are those of `accumulate` over the top k, top holds x_1 and last x_k. Results are followed by their
    bounds and by the variance of ln Z.
    """
    use_wide_vectors()
    scale = beta * LOG2_E
    for s in range(_L):
        d = last[s] - top[s]
        t = scale * d
        e = exp2_double(t if t > _LEAST_EXPONENT else _LEAST_EXPONENT)
        # over the rest, Σ e^{rβ(x - x_1)} = g_r W^r; h and i are its β-derivatives over W^r
        r0 = e * rest[s]
        r1 = e * rest[_L + s] + d * r0
        r2 = e * rest[2 * _L + s] + d * (2.0 * r1 - d * r0)
        w = sums[s] + r0
        log_w, inverse = log_and_inverse_double(w)
        a1 = (r1 - sums[_L + s]) * inverse
        a2 = (r2 + sums[2 * _L + s]) * inverse
        e = e * inverse
        g1 = r0 * inverse
        h1 = r1 * inverse
        i1 = r2 * inverse
        e2 = e * e
        g2 = e2 * rest[3 * _L + s]
        q1 = e2 * rest[4 * _L + s] + d * g2
        q2 = e2 * rest[5 * _L + s] + d * (2.0 * q1 - d * g2)
        h2 = 2.0 * q1
        i2 = 4.0 * q2
        e3 = e2 * e
        g3 = e3 * rest[6 * _L + s]
        c1 = e3 * rest[7 * _L + s] + d * g3
        c2 = e3 * rest[8 * _L + s] + d * (2.0 * c1 - d * g3)
        h3 = 3.0 * c1
        i3 = 9.0 * c2
        g4 = e2 * e2 * rest[9 * _L + s]
        # cumulants of the rest over W^r, with the derivatives of the numerators
        m1 = g1 * share
        hm = h1 * share
        im = i1 * share
        v = g2 - m1 * g1
        vh = h2 - 2.0 * m1 * h1
        vi = i2 - 2.0 * (hm * h1 + m1 * i1)
        k3 = g3 - m1 * (3.0 * g2 - 2.0 * m1 * g1)
        kh = h3 - 3.0 * (hm * g2 + m1 * h2) + 6.0 * m1 * m1 * h1
        ki = i3 - 3.0 * (im * g2 + 2.0 * hm * h2 + m1 * i2) + 6.0 * m1 * (2.0 * hm * h1 + m1 * i1)
        k4 = g4 - m1 * (4.0 * g3 - m1 * (12.0 * g2 - 6.0 * m1 * g1)) - 3.0 * share * g2 * g2
        # the ratios themselves: v' of v/W² and so on
        square = a1 * a1
        dv = vh - 2.0 * a1 * v
        ddv = vi - 4.0 * a1 * vh + (6.0 * square - 2.0 * a2) * v
        dk = kh - 3.0 * a1 * k3
        ddk = ki - 6.0 * a1 * kh + (12.0 * square - 3.0 * a2) * k3
        variance = a2 - square - 0.5 * ddv + (1.0 / 3.0) * ddk - 1.5 * (dv * dv + v * ddv)
        results[s] = beta * top[s] + log_w - 0.5 * v + (1.0 / 3.0) * k3 - 0.75 * v * v
        results[_L + s] = top[s] + a1 - 0.5 * dv + (1.0 / 3.0) * dk - 1.5 * v * dv
        results[2 * _L + s] = variance
        # Σp²: numerator N = Σ e^{2βx}; c12 and c112 are its joint cumulants with Z and with Z twice
        numerator = sums[3 * _L + s] * inverse * inverse + g2
        c12 = g3 - m1 * g2
        c112 = g4 - 2.0 * m1 * g3 - share * g2 * g2 + 2.0 * m1 * m1 * g2
        squares = (
            numerator * (1.0 + 3.0 * v - 4.0 * k3 + 15.0 * v * v) - 2.0 * c12 + 3.0 * c112 - 12.0 * c12 * v
        )
        results[3 * _L + s] = squares
        # Terms of order four by their sizes. None is of a degree above six in the weights, each of which
        # multiplies by x - U under d/dβ: at most x_1 - U or U - x_k in size where the weight is not small.
        neglected = 0.25 * abs(k4) + 2.0 * abs(v * k3) + 2.5 * v * v * v
        reach = 6.0 * (abs(a1) + abs(d - a1))
        results[4 * _L + s] = neglected
        results[5 * _L + s] = neglected * reach
        results[6 * _L + s] = neglected * reach * reach
        results[7 * _L + s] = 64.0 * neglected * squares
        results[8 * _L + s] = v - k3 + 2.5 * v * v


@cached_njit(nogil=True, fastmath=FASTMATH, error_model="numpy")
def order_statistics(
    start,
    stop,
    exponentials,
    rates,
    quantile,
    quantile_range,
    beta,
    arithmetic,
    items,
    rest,
    rest_range,
    out,
    out_max,
    out_bound,
    out_variance,
):
    """Moments of e^{βx} over n energies from their top k values of x = -ε, for some samples and every β.

    Parameters
    ----------
    start, stop : int
        Samples start .. stop - 1 of the outputs are filled.
    exponentials : float64 array (samples, k)
        Independent unit exponentials: drawn, or -ln(1-u) of quasi-random points.
    rates : float64 array (k,)
        1 / ((n - j) ln 2), j = 0..k-1.
    quantile : float64 array (pieces, 8)
        Highest power first, on equal pieces of every binade of s = -log2 P(X <= x).
    quantile_range : (int64, int64, float64, float64)
        Number of the first piece, log2 of the pieces per binade, least and greatest s.
    beta : float64 array (m,)
        Inverse temperatures >= 0.
    arithmetic : bool
        Whether they are equally spaced and ascending.
    items : float64
        n - k; when zero, the top k are everything and `rest` is not read.
    rest : float64 array (m, 10, 1 + multiple of 8)
        Highest power first: sums over the rest, in the order given at REST_FUNCTIONS.
    rest_range : (float64, float64)
        The rest's polynomials take (ln s_k - first) * second, held within [-1, 1].
    out : float64 array (m, 4, samples)
        Filled with ln Z, <x>_p, Var_p(x), Σp²: conditional expectations given the top k.
    out_max : float64 array (samples,)
        Filled with x_1.
    out_bound : float64 array (m, 4, samples) or (0, 0, 0)
        Filled, where it has room, with bounds on what the expansion neglects in `out`.
    out_variance : float64 array (m, samples) or (0, 0)
        Filled, where it has room, with the variance of ln Z given the top k, to second order: its mean added
        to the variance of `out` is the variance of ln Z.
    """
    k = exponentials.shape[1]
    rows = (k + 3) // 4 * 4
    first, split, least, most = quantile_range
    number = beta.size
    slopes = padded_slopes(beta, arithmetic)
    share = 1.0 / items if items > 0.0 else 0.0
    x = aligned(rows * _L, beta)
    scratch = aligned(SCRATCH, beta)
    sums = aligned(slopes.size * QUANTITIES * _L, beta)
    nothing = np.empty(0)
    results = aligned((2 * QUANTITIES + 1) * _L, beta)
    collected = aligned(QUANTITIES * _L, beta)
    top = aligned(_L, beta)
    place = aligned(_L, beta)
    places = aligned(rows * _L, beta)
    pieces = aligned(rows * _L, np.empty(0, np.int64))
    below = aligned(REST_FUNCTIONS * _L, beta)
    last = x[(k - 1) * _L : k * _L]
    below[:] = 0.0
    for block in range(start, stop, _L):
        filled = min(_L, stop - block)
        sums[:] = 0.0
        _hazards(exponentials, block, stop, rates, x)
        _places(last, rest_range[0], rest_range[1], place)
        _locate(x, k * _L, first, split, least, most, pieces, places)
        _quantiles(pieces, places, k * _L, quantile, x)
        for i in range(k * _L, rows * _L):
            x[i] = 2.0 * MASKED
        for s in range(_L):
            top[s] = x[s]
        # k is at most 256 rows: nothing moves to totals
        accumulate(x, rows, rows > k, top, slopes, arithmetic, scratch, sums, nothing)
        for b in range(number):
            if items > 0.0:
                _rest_sums(place, rest[b], below)
            collect(sums, nothing, rows > FLUSH, b, collected)
            _finish(top, last, beta[b], share, collected, below, results)
            write_lanes(results, 0, block, filled, out, b)
            if out_bound.shape[0] > 0:
                write_lanes(results, QUANTITIES, block, filled, out_bound, b)
            if out_variance.shape[0] > 0:
                for s in range(filled):
                    out_variance[b, block + s] = results[2 * QUANTITIES * _L + s]
        for s in range(filled):
            out_max[block + s] = top[s]
