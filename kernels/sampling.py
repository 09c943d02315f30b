"""Plain Monte Carlo: i.i.d. energies drawn afresh for every sample, all β from common random numbers.

x = -ε is a standard normal deviate z, or scale · z with a scale drawn for each sample (a teacher of finite
width), or a tabulated function of z (any other distribution: x = Q^-1(Q_normal(z)), Q: survival functions).
Outputs for each sample and β: ln Z, <x> = -U, Var x (energy variance), Σ p²; and max x for each sample.

Small samples (n <= SMALL) lie one in each lane; a larger one is spread over all lanes. Either way energy i of
sample s is a fixed function of (key, stream, s, i), and sums are taken in a fixed order: the same bits come
out for any number of threads and any way to cut the samples into calls.
"""

import numpy as np
from numba import types
from numba.extending import overload

from peakedtheory.kernels.accumulate import (
    FLUSH,
    MASKED,
    QUANTITIES,
    SCRATCH,
    accumulate,
    finish_lanes,
    finish_sample,
    lane_maxima,
    mask,
    merge_lanes,
    padded_slopes,
)
from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors
from peakedtheory.kernels.logits import copy_panel
from peakedtheory.kernels.random import RESERVED_BLOCKS, normals_double, normals_single, philox4x32

SMALL = 4096
BLOCKS = 4  # Philox blocks drawn at a time in each lane
PANEL = 2048  # rows of a large sample that are drawn before they are summed

_L = LANES
_L2 = 2 * LANES
_L3 = 3 * LANES
_NONE = np.uint64(0)
_ALL = ~_NONE


@inner
def _words(key, stream, sample, block, sample_mask, block_mask, rows_step, words):
    """Fill BLOCKS rows of (4, LANES) words; the masks, all ones or zero, say what counts up along the lanes.

    In row b lane i holds the words of the counter (sample + i, block + b rows_step + i), or without either i.
    """
    use_wide_vectors()
    for b in range(BLOCKS):
        w = words[b * 4 * LANES : (b + 1) * 4 * LANES]
        start = block + np.uint64(b) * rows_step
        for i in range(LANES):
            lane = np.uint64(i)
            a, e, c, d = philox4x32(key, stream, sample + (lane & sample_mask), start + (lane & block_mask))
            w[i] = np.uint32(a)
            w[i + _L] = np.uint32(e)
            w[i + _L2] = np.uint32(c)
            w[i + _L3] = np.uint32(d)


@inner
def _single_from_words(words, x, blocks):
    """Four rows of float32 normals from each block of words in each lane."""
    use_wide_vectors()
    for b in range(blocks):
        w = words[b * 4 * LANES : (b + 1) * 4 * LANES]
        y = x[b * 4 * LANES : (b + 1) * 4 * LANES]
        for i in range(LANES):
            y[i], y[i + _L] = normals_single(w[i], w[i + _L])
            y[i + _L2], y[i + _L3] = normals_single(w[i + _L2], w[i + _L3])


@inner
def _double_from_words(words, x, blocks):
    """Two rows of float64 normals from each block of words in each lane."""
    use_wide_vectors()
    for b in range(blocks):
        w = words[b * 4 * LANES : (b + 1) * 4 * LANES]
        y = x[b * 2 * LANES : (b + 1) * 2 * LANES]
        for i in range(LANES):
            high, low = np.uint64(w[i]), np.uint64(w[i + _L])
            y[i], y[i + _L] = normals_double(high, low, np.uint64(w[i + _L2]), np.uint64(w[i + _L3]))


def from_words(words, x, blocks):
    """Rows of normals in the precision of x, for use in compiled code only."""
    raise NotImplementedError("only callable from compiled code")


@overload(from_words, jit_options={"fastmath": FASTMATH}, inline="never")
def _from_words(words, x, blocks):
    if x.dtype == types.float32:
        return lambda words, x, blocks: _single_from_words(words, x, blocks)
    return lambda words, x, blocks: _double_from_words(words, x, blocks)


@inner
def fill_normals(key, stream, sample, first_row, rows, spread, words, x):
    """Fill rows first_row .. first_row + rows - 1 (both multiples of four) of standard normals.

    With spread False lane i belongs to sample + i, and row r is energy r; with spread True all lanes
    belong to `sample`: the lane of energy j is (j // m) % LANES, m = 4 energies in a block (2 in double).
    """
    block_mask = _ALL if spread else _NONE
    rows_step = np.uint64(LANES if spread else 1)
    each = 4 if x.itemsize == 4 else 2
    for row in range(0, rows, BLOCKS * each):
        block = np.uint64((first_row + row) // each) * rows_step
        _words(key, stream, sample, block, ~block_mask, block_mask, rows_step, words)
        blocks = min(BLOCKS, (rows - row) // each)
        from_words(words, x[row * LANES : (row + blocks * each) * LANES], blocks)


@inner
def _draw_scales(key, stream, sample, spread, width, words, scales):
    """chi_width / sqrt(width) for the sample of each lane, from `width` normals in the reserved blocks."""
    each = 4 if scales.itemsize == 4 else 2
    total = np.zeros(LANES)
    z = aligned(each * BLOCKS * LANES, scales)
    for j in range(0, width, each * BLOCKS):
        block = np.uint64(RESERVED_BLOCKS + j // each)
        _words(key, stream, sample, block, _NONE if spread else _ALL, _NONE, np.uint64(1), words)
        from_words(words, z, BLOCKS)
        for row in range(min(each * BLOCKS, width - j)):
            for i in range(LANES):
                total[i] += np.float64(z[row * LANES + i]) ** 2
    for i in range(LANES):
        scales[i] = np.sqrt(total[i] / width)


@inner
def _scale(x, rows, scales):
    use_wide_vectors()
    for row in range(rows):
        y = x[row * LANES : (row + 1) * LANES]
        for i in range(LANES):
            y[i] *= scales[i]


@inner
def _tabulate(x, size, table, per_unit):
    """Replace normal deviates z by the tabulated x(z); the table is described in `sample_moments`."""
    use_wide_vectors()
    real = x.dtype.type
    scale = real(per_unit)
    half = table.shape[0] // 2
    low, high = real(-half), real(half - 1)
    for i in range(size):
        u = x[i] * scale
        cell = np.floor(u)
        cell = cell if cell > low else low
        cell = cell if cell < high else high
        t = u - cell
        c = np.int64(cell) + half
        p = table[c, 5]
        p = p * t + table[c, 4]
        p = p * t + table[c, 3]
        p = p * t + table[c, 2]
        p = p * t + table[c, 1]
        x[i] = p * t + table[c, 0]


@inner
def lanes_of(n, each, lane_rows):
    """How many of n energies lie in each lane when a block of `each` energies goes to one lane."""
    whole, rest = divmod(n, each * LANES)
    for i in range(LANES):
        lane_rows[i] = whole * each + min(max(rest - each * i, 0), each)


@inner
def _draw_panel(key, stream, sample, row, rows, spread, words, width, scales, table, per_unit, x):
    """Draw `rows` rows of energies from row `row` on."""
    fill_normals(key, stream, sample, row, rows, spread, words, x)
    if width > 0:
        if row == 0:
            _draw_scales(key, stream, sample, spread, width, words, scales)
        _scale(x, rows, scales)
    if table.shape[0] > 0:
        _tabulate(x, rows * LANES, table, per_unit)


@cached_njit(nogil=True, fastmath=FASTMATH, error_model="numpy")
def sample_moments(
    key, stream, first, start, stop, n, betas, arithmetic, width, table, per_unit, given, out, out_max
):
    """Fill the outputs start .. stop - 1, of samples first + start .. first + stop - 1.

    Parameters
    ----------
    key, stream, first : uint64
        What the random numbers depend on, with the sample's index.
    start, stop : int
        What to fill; sample s is the same whatever range it is part of.
    n : int
        Number of energies in a sample, below 2^34 (2^33 in double precision).
    betas : (K,) float64
        At least 0; ascending and evenly spaced if `arithmetic`. All arrays are C-contiguous, or the kernel is
        compiled once more.
    arithmetic : bool
        Use running products.
    width : int
        0, or the number m of inputs of a teacher whose weights are standard normal: x is then a normal
        deviate times chi_m / sqrt(m), drawn once for each sample.
    table : (cells, 6) float32 or float64
        Fixes the precision. With no cells x is the normal deviate z itself. Otherwise row c + cells / 2 (an
        even number of cells) holds the polynomial x = Σ_j table[., j] t^j for t = z per_unit - c in [0, 1),
        and the outermost ones go on beyond the ends. No deviate exceeds 6.77 (8.58 in double precision).
    per_unit : float
        Cells of the table in a unit of z; a power of two keeps t free of rounding.
    given : (count, n) like table
        The x themselves: then nothing is drawn. Empty, (0, 0), to draw them.
    out : (K, 4, count) float64
        Filled with ln Z, <x> = -U, Var x, Σ p².
    out_max : (count,) float64
        Filled with max x.
    """
    slopes = padded_slopes(betas, arithmetic)
    small = n <= SMALL
    each = 4 if table.itemsize == 4 else 2
    if given.shape[0] > 0:
        each = 1
    lane_rows = np.full(LANES, n)
    if not small:
        lanes_of(n, each, lane_rows)
    total = (lane_rows[0] + 3) // 4 * 4
    padded = n < (total if small else total * LANES)
    panel = total if small else min(total, PANEL)
    x = aligned(panel * LANES, table)
    scratch = aligned(SCRATCH, table)
    sums = aligned(slopes.size * QUANTITIES * LANES, table)
    maximum = aligned(LANES, table)
    scales = aligned(LANES, table)
    # small samples of few rows never leave the sums
    totals = aligned(0 if small and total <= FLUSH else sums.size, betas)
    results = aligned(QUANTITIES * LANES, betas)
    words = np.empty(BLOCKS * 4 * LANES, np.uint32)
    sample_sums = np.empty((betas.size, QUANTITIES))
    sums[:] = 0
    totals[:] = 0.0
    for s in range(start, stop, LANES if small else 1):
        sample = first + np.uint64(s)
        top = MASKED
        sample_sums[:] = 0.0
        for row in range(0, total, panel):
            rows = min(panel, total - row)
            if given.shape[0] > 0:
                copy_panel(given, s, stop, row, rows, not small, x)
            else:
                _draw_panel(
                    key, stream, sample, row, rows, not small, words, width, scales, table, per_unit, x
                )
            masked = given.shape[0] > 0
            if row + rows == total and padded:
                masked = True
                mask(x, rows, lane_rows, row)
            lane_maxima(x, rows, maximum)
            highest = top
            if not small:
                for i in range(LANES):
                    highest = max(highest, np.float64(maximum[i]))
                maximum[:] = highest
            accumulate(x, rows, masked, maximum, slopes, arithmetic, scratch, sums, totals)
            if not small:
                merge_lanes(sums, totals, betas, highest - top, sample_sums)
                top = highest
        if small:
            samples = min(LANES, stop - s)
            finish_lanes(sums, totals, total > FLUSH, betas, maximum, results, s, samples, out)
            for i in range(samples):
                out_max[s + i] = maximum[i]
        else:
            finish_sample(sample_sums, top, betas, s, out)
            out_max[s] = top
