"""Inputs of the training experiments: normals, a fixed function of (key, stream, step, row, feature).

The sample number of row r at step t is 2^32 t + r, and feature k is energy k of that sample (see `random`): a
row does not depend on the batch size, on the cases trained, on threads, or on where a run was resumed. The
uniform number by which the label of a row is drawn comes from a reserved block of the same sample.
"""

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors
from peakedtheory.kernels.random import RESERVED_BLOCKS, uniform_pair
from peakedtheory.kernels.sampling import BLOCKS, fill_normals


@inner
def _normalise(x, width):
    """Scale each lane of x (rows of LANES numbers) to a squared length of `width`."""
    use_wide_vectors()
    one = x.dtype.type(1.0)
    squares = np.zeros(LANES, x.dtype)
    for k in range(width):
        row = x[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            squares[i] += row[i] * row[i]
    for i in range(LANES):
        squares[i] = np.sqrt(x.dtype.type(width) / max(squares[i], x.dtype.type(1e-30))) * one
    for k in range(width):
        row = x[k * LANES : (k + 1) * LANES]
        for i in range(LANES):
            row[i] *= squares[i]


@inner
def _scratch(width):
    """Words and numbers of LANES samples; the generator fills whole blocks of four features."""
    words = np.empty(BLOCKS * 4 * LANES, np.uint32)
    return words, aligned((width + 3) // 4 * 4 * LANES, np.empty(1, np.float32))


@inner
def _fill_block(key, stream, sample, width, normalise, words, x):
    """Fill x (rows of LANES numbers) with the inputs of LANES samples."""
    fill_normals(key, stream, sample, 0, x.size // LANES, False, words, x)
    if normalise:
        _normalise(x, width)


@cached_njit(error_model="numpy", nogil=True)
def fill_inputs(key, stream, first_step, normalise, lanes, rows):
    """Fill the inputs of consecutive steps twice, with samples in lanes and in rows.

    lanes : (steps, blocks, width, LANES), float32; lane i of block b is row LANES b + i of a batch
    rows : (steps, blocks LANES, columns), float32; columns beyond the width are left alone
    """
    steps, blocks, width, _ = lanes.shape
    words, x = _scratch(width)
    for s in range(steps):
        for b in range(blocks):
            sample = ((first_step + np.uint64(s)) << np.uint64(32)) + np.uint64(b * LANES)
            _fill_block(key, stream, sample, width, normalise, words, x)
            lanes[s, b] = x[: width * LANES].reshape((width, LANES))
            for i in range(LANES):
                for k in range(width):
                    rows[s, b * LANES + i, k] = x[k * LANES + i]


@cached_njit(error_model="numpy", nogil=True)
def fill_rows(key, stream, first_step, normalise, rows):
    """Fill the inputs of consecutive steps, rows (steps, batch, width) in float32."""
    steps, batch, width = rows.shape
    words, x = _scratch(width)
    for s in range(steps):
        for first in range(0, batch, LANES):
            sample = ((first_step + np.uint64(s)) << np.uint64(32)) + np.uint64(first)
            _fill_block(key, stream, sample, width, normalise, words, x)
            for i in range(min(LANES, batch - first)):
                for k in range(width):
                    rows[s, first + i, k] = x[k * LANES + i]


@cached_njit(error_model="numpy", nogil=True)
def fill_uniforms(key, stream, first_step, out):
    """Fill the uniform numbers of consecutive steps, (steps, rows) in float64."""
    for s in range(out.shape[0]):
        for row in range(out.shape[1]):
            sample = ((first_step + np.uint64(s)) << np.uint64(32)) + np.uint64(row)
            out[s, row] = uniform_pair(key, stream, sample, np.uint64(RESERVED_BLOCKS))[0]
