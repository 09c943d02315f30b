"""Student against teacher at (D, ρ, β*): y = D z + ρ w, y* = β* z, with z and w independent standard normals.

p = softmax(y), q = softmax(y*). Each sample of (z, w) serves the whole list of triples, so that differences
along it carry little noise. Outputs: Σ (p-q)², Σ p², Σ p q, Σ q², KL(q||p), Σ q y - Σ p y.
"""

import numpy as np

from peakedtheory.kernels.accumulate import FLUSH, MASKED, mask
from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH, LOG2_E
from peakedtheory.kernels.lanes import LANES, aligned, exp2, inner, use_wide_vectors
from peakedtheory.kernels.sampling import BLOCKS, SMALL, fill_normals, lanes_of

MISALIGNED_QUANTITIES = 6
_SUMS = 8


@inner
def _maxima(z, w, rows, alignment, residual, teacher, top, top_teacher):
    use_wide_vectors()
    masked = z.dtype.type(MASKED)
    for i in range(LANES):
        top[i] = masked
        top_teacher[i] = masked
    for row in range(rows):
        a = z[row * LANES : (row + 1) * LANES]
        b = w[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            y = alignment * a[i] + residual * b[i]
            t = teacher * a[i]
            seen = a[i] > masked
            y = y if seen else masked
            t = t if seen else masked
            top[i] = y if y > top[i] else top[i]
            top_teacher[i] = t if t > top_teacher[i] else top_teacher[i]


@inner
def _sums(z, w, start, stop, alignment, residual, teacher, top, top_teacher, sums):
    """Add the rows start .. stop - 1 to the eight sums; a and b are the weights of student and teacher."""
    use_wide_vectors()
    real = z.dtype.type
    masked = real(MASKED)
    floor = real(-62.0) if z.itemsize == 4 else real(-500.0)
    none = real(0.0)
    scale = real(LOG2_E)
    for row in range(start, stop):
        zr = z[row * LANES : (row + 1) * LANES]
        wr = w[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            seen = zr[i] > masked
            y = alignment * zr[i] + residual * wr[i] - top[i]
            t = teacher * zr[i] - top_teacher[i]
            f = y * scale
            g = t * scale
            a = exp2(f if f > floor else floor)
            b = exp2(g if g > floor else floor)
            a = a if seen else none
            b = b if seen else none
            y = y if seen else none
            # a teacher weight at the floor would still count a distance of β* times a gap
            gap = t - y if g > floor else none
            sums[i] += a
            sums[i + LANES] += b
            sums[i + 2 * LANES] += a * a
            sums[i + 3 * LANES] += a * b
            sums[i + 4 * LANES] += b * b
            sums[i + 5 * LANES] += b * gap
            sums[i + 6 * LANES] += a * y
            sums[i + 7 * LANES] += b * y


@inner
def _finish(total, stride, out):
    """Turn the eight sums total[0], total[stride], ... of one sample and triple into its outputs."""
    a, b = total[0], total[stride]
    pp = total[2 * stride] / (a * a)
    pq = total[3 * stride] / (a * b)
    qq = total[4 * stride] / (b * b)
    out[0] = max(pp - 2.0 * pq + qq, 0.0)
    out[1] = pp
    out[2] = pq
    out[3] = qq
    out[4] = total[5 * stride] / b + np.log(a) - np.log(b)
    out[5] = total[7 * stride] / b - total[6 * stride] / a


@cached_njit(nogil=True, fastmath=FASTMATH, error_model="numpy")
def sample_misaligned(key, stream, first, start, stop, n, triples, like, out):
    """Fill the outputs start .. stop - 1, of samples first + start .. first + stop - 1, for every (D, ρ, β*).

    Parameters
    ----------
    key, stream, first : uint64
        What the random numbers depend on, with the sample's index.
    start, stop : int
        What to fill; sample s is the same whatever range it is part of.
    n : int
        Number of classes.
    triples : (K, 3) float64
        D, ρ, β*, all finite; hard labels are the limit of large β* (10^4 is enough).
    like : float32 or float64 array
        Fixes the precision; its entries are not read.
    out : (count, K, 6) float64
        Filled with Σ (p-q)², Σ p², Σ p q, Σ q², KL(q||p) and Σ q y - Σ p y.
    """
    small = n <= SMALL
    real = like.dtype.type
    lane_rows = np.full(LANES, n)
    if not small:
        lanes_of(n, 4 if like.itemsize == 4 else 2, lane_rows)
    rows = (lane_rows[0] + 3) // 4 * 4
    z = aligned(rows * LANES, like)
    w = aligned(rows * LANES, like)
    top = aligned(LANES, like)
    top_teacher = aligned(LANES, like)
    sums = aligned(_SUMS * LANES, like)
    total = np.empty(_SUMS * LANES)
    words = np.empty(BLOCKS * 4 * LANES, np.uint32)
    for s in range(start, stop, LANES if small else 1):
        sample = first + np.uint64(s)
        fill_normals(key, stream, sample, 0, rows, not small, words, z)
        fill_normals(key, stream, sample, rows, rows, not small, words, w)
        mask(z, rows, lane_rows, 0)
        for k in range(triples.shape[0]):
            d, r, b = real(triples[k, 0]), real(triples[k, 1]), real(triples[k, 2])
            _maxima(z, w, rows, d, r, b, top, top_teacher)
            if not small:
                top[:] = top.max()
                top_teacher[:] = top_teacher.max()
            total[:] = 0.0
            for row in range(0, rows, FLUSH):
                sums[:] = 0
                _sums(z, w, row, min(row + FLUSH, rows), d, r, b, top, top_teacher, sums)
                for i in range(total.size):
                    total[i] += sums[i]
            if small:
                for i in range(min(LANES, stop - s)):
                    _finish(total[i:], LANES, out[s + i, k])
            else:
                for q in range(_SUMS):
                    for i in range(1, LANES):
                        total[q * LANES] += total[q * LANES + i]
                _finish(total, LANES, out[s, k])
