"""Test losses of students that share a teacher: sums over the test inputs, in double precision.

The layout is that of `training`: samples in lanes, classes in rows, sums in a fixed order.
"""

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import LOG2_E, log_double
from peakedtheory.kernels.lanes import LANES, aligned, exp2, inner, use_wide_vectors
from peakedtheory.kernels.products import product
from peakedtheory.kernels.training import (
    MSE,
    clear_lanes,
    differences,
    exponentials,
    maxima,
    one_hot,
    scaled_difference,
    softmax,
)

LOSS, LOSS_SQUARES, RADIAL, VARIANCE = 0, 1, 2, 3


@inner
def _log_sums(largest, sums, out):
    """Set ln Z of each lane from the largest logit and the sum of the exponentials."""
    for j in range(LANES):
        out[j] = largest[j] + log_double(sums[j])


@inner
def _label_sums(labels, logits, log_z, n, hard, negative_entropy, mean_logit):
    """Σ q ln q (zero for hard labels) and Σ q y* of each lane."""
    use_wide_vectors()
    negative_entropy[:] = 0.0
    mean_logit[:] = 0.0
    for i in range(n):
        q, y = labels[i * LANES : (i + 1) * LANES], logits[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            mean_logit[j] += q[j] * y[j]
            negative_entropy[j] += 0.0 if hard else q[j] * (y[j] - log_z[j])


@inner
def _cross(labels, y, n, out):
    """Σ q y of each lane."""
    use_wide_vectors()
    out[:] = 0.0
    for i in range(n):
        q, row = labels[i * LANES : (i + 1) * LANES], y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            out[j] += q[j] * row[j]


@inner
def _variance(y, n, mean, out):
    """Variance of the logits over the classes (n - 1 in the denominator) of each lane."""
    use_wide_vectors()
    mean[:] = 0.0
    out[:] = 0.0
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            mean[j] += row[j]
    for j in range(LANES):
        mean[j] /= n
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            out[j] += (row[j] - mean[j]) * (row[j] - mean[j])
    for j in range(LANES):
        out[j] /= n - 1


@inner
def _squared_distance(y, z, factor, n, out):
    """Σ (y - factor z)² / 2n of each lane."""
    use_wide_vectors()
    out[:] = 0.0
    for i in range(n):
        row, other = y[i * LANES : (i + 1) * LANES], z[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            out[j] += (row[j] - factor * other[j]) ** 2
    for j in range(LANES):
        out[j] /= 2 * n


@inner
def _sums_at(logits, ratio, n, largest, sums):
    """Σ exp(ratio (y* - largest)) of each lane."""
    use_wide_vectors()
    per_log2 = ratio * LOG2_E
    sums[:] = 0.0
    for i in range(n):
        row = logits[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            t = (row[j] - largest[j]) * per_log2
            sums[j] += exp2(t if t > -500.0 else -500.0)


@inner
def _enter(totals, losses, radial, variance, valid):
    for j in range(valid):
        totals[LOSS] += losses[j]
        totals[LOSS_SQUARES] += losses[j] * losses[j]
        totals[RADIAL] += radial[j]
        totals[VARIANCE] += variance[j]


@cached_njit(error_model="numpy", nogil=True)
def evaluate(lanes, x_rows, teacher, weights, ratios, n, samples, loss, hard, totals, gradients):
    """Add up losses, squared losses, radial losses, logit variances and gradients over the test inputs.

    lanes : (blocks, m, LANES); x_rows : (blocks LANES, columns); teacher : (rows, columns), all float64
    weights, gradients : (students, rows columns)
    ratios : (students,) of the students' norms to the teacher's
    totals : (students, 4), in the order LOSS, LOSS_SQUARES, RADIAL, VARIANCE; set here, as is `gradients`
    """
    blocks, m, _ = lanes.shape
    columns = x_rows.shape[1]
    rows = teacher.size // columns
    like = np.empty(1)
    logits, labels, y = aligned(rows * LANES, like), aligned(rows * LANES, like), aligned(rows * LANES, like)
    largest, sums, log_z = aligned(LANES, like), aligned(LANES, like), aligned(LANES, like)
    top, negative_entropy, mean_logit = aligned(LANES, like), aligned(LANES, like), aligned(LANES, like)
    losses, radial, variance = aligned(LANES, like), aligned(LANES, like), aligned(LANES, like)
    teacher, x = teacher.reshape(teacher.size), x_rows.reshape(x_rows.size)
    totals[:] = 0.0
    gradients[:] = 0.0
    for b in range(blocks):
        xt = lanes[b].reshape(m * LANES)
        product(teacher, 0, columns, 1, xt, 0, LANES, logits, 0, LANES, rows, LANES, m, False)
        if loss != MSE:
            labels[:] = logits
            maxima(labels, n, top)
            if hard:
                one_hot(labels, n, largest, sums)
            else:
                softmax(labels, n, largest, sums)
                _sums_at(logits, 1.0, n, top, sums)
                _log_sums(top, sums, log_z)
            _label_sums(labels, logits, log_z, n, hard, negative_entropy, mean_logit)
        valid = min(LANES, samples - b * LANES)
        for c in range(weights.shape[0]):
            product(weights[c], 0, columns, 1, xt, 0, LANES, y, 0, LANES, rows, LANES, m, False)
            _variance(y, n, sums, variance)
            if loss == MSE:
                _squared_distance(y, logits, 1.0, n, losses)
                _squared_distance(logits, logits, ratios[c], n, radial)
                differences(y, logits, n)
            else:
                _sums_at(logits, ratios[c], n, top, sums)
                for j in range(LANES):
                    radial[j] = negative_entropy[j] - ratios[c] * mean_logit[j]
                    radial[j] += ratios[c] * top[j] + log_double(sums[j])
                maxima(y, n, largest)
                _cross(labels, y, n, losses)
                exponentials(y, n, largest, sums)
                _log_sums(largest, sums, log_z)
                for j in range(LANES):
                    losses[j] = negative_entropy[j] - losses[j] + log_z[j]
                scaled_difference(y, labels, n, sums)
            if valid < LANES:
                clear_lanes(y, n, valid)
            _enter(totals[c], losses, radial, variance, valid)
            start = b * LANES * columns
            product(y, 0, LANES, 1, x, start, columns, gradients[c], 0, columns, rows, columns, LANES, True)
