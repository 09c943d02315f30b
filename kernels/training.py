"""Training steps of students that share a teacher and inputs: closed-form gradient and fused updates.

Samples lie in lanes, LANES at a time, classes in rows, so a softmax needs no sum across lanes. A block of
labels is computed once for all students of a group and stays in the cache. Sums run over the samples in
order: a student's bits depend neither on the others, nor on threads, nor on how steps are cut into calls.

All arrays are float32 and flat unless said otherwise; classes are padded to `rows`, inputs to `columns`, with
zeros, as `products` wants them.
"""

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import LOG2_E
from peakedtheory.kernels.lanes import LANES, aligned, exp2, inner, use_wide_vectors
from peakedtheory.kernels.products import product

KL, MSE = 0, 1
SOFT, HARD, SAMPLED = 0, 1, 2  # labels
SGD, ADAM, SIGNGD, MUON = 0, 1, 2, 3
ADAM_EPSILON = 1e-8  # added to the root of the second moment
MUON_ITERATIONS = 5
MUON_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
MUON_EPSILON = 1e-7
_A, _B, _C = (np.float32(c) for c in MUON_COEFFICIENTS)
_ADAM_EPSILON, _MUON_EPSILON = np.float32(ADAM_EPSILON), np.float32(MUON_EPSILON)


@inner
def maxima(y, n, largest):
    """Set the largest logit of each lane."""
    use_wide_vectors()
    largest[:] = y[:LANES]
    for i in range(1, n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            largest[j] = row[j] if row[j] > largest[j] else largest[j]


@inner
def exponentials(y, n, largest, sums):
    """Replace logits by exponentials of their distance to the largest, and sum them over the classes.

    No exponential falls below 2^-62 (2^-500 in double precision), so that subnormal numbers, slow on many
    processors, cannot arise.
    """
    use_wide_vectors()
    real = y.dtype.type
    per_log2, floor = real(LOG2_E), real(-62.0 if y.itemsize == 4 else -500.0)
    sums[:] = real(0.0)
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            t = (row[j] - largest[j]) * per_log2
            e = exp2(t if t > floor else floor)
            row[j] = e
            sums[j] += e


@inner
def _divide(y, n, sums):
    use_wide_vectors()
    one = y.dtype.type(1.0)
    for j in range(LANES):
        sums[j] = one / sums[j]
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            row[j] *= sums[j]


@inner
def softmax_sums(y, n, largest, sums):
    """Replace logits (n, LANES) by probabilities times their sums."""
    maxima(y, n, largest)
    exponentials(y, n, largest, sums)


@inner
def softmax(y, n, largest, sums):
    """Replace logits (n, LANES) by probabilities."""
    softmax_sums(y, n, largest, sums)
    _divide(y, n, sums)


@inner
def one_hot(y, n, largest, places):
    """Replace logits by one at the first largest of each lane, zero elsewhere."""
    use_wide_vectors()
    real = y.dtype.type
    largest[:] = y[:LANES]
    places[:] = real(0.0)
    for i in range(1, n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            better = row[j] > largest[j]
            largest[j] = row[j] if better else largest[j]
            places[j] = real(i) if better else places[j]
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            row[j] = real(1.0) if places[j] == real(i) else real(0.0)


@inner
def _one_drawn(y, n, uniforms, first, largest, sums, places, labels):
    """Set labels to one at a class drawn by the uniform number of each lane, zero elsewhere.

    y holds the teacher's logits in double precision: a draw that rounding decides is one in 10^13.
    """
    use_wide_vectors()
    softmax_sums(y, n, largest, sums)
    for j in range(LANES):
        sums[j] *= uniforms[first + j]
        largest[j] = places[j] = 0.0
    for i in range(n):
        row = y[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            largest[j] += row[j]
            places[j] += 1.0 if largest[j] <= sums[j] else 0.0
    one, none = labels.dtype.type(1.0), labels.dtype.type(0.0)
    for i in range(n):
        row = labels[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            row[j] = one if places[j] == i else none


@inner
def _softmax_errors(y, q, n, largest, sums):
    """Replace logits by p - q."""
    softmax_sums(y, n, largest, sums)
    scaled_difference(y, q, n, sums)


@inner
def scaled_difference(y, q, n, sums):
    """Replace exponentials by p - q."""
    use_wide_vectors()
    one = y.dtype.type(1.0)
    for j in range(LANES):
        sums[j] = one / sums[j]
    for i in range(n):
        row, other = y[i * LANES : (i + 1) * LANES], q[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            row[j] = row[j] * sums[j] - other[j]


@inner
def differences(y, q, n):
    """Replace logits by (y - q) / n."""
    use_wide_vectors()
    share = y.dtype.type(1.0) / y.dtype.type(n)
    for i in range(n * LANES):
        y[i] = (y[i] - q[i]) * share


@inner
def clear_lanes(y, n, first):
    """Set lanes from `first` on to zero."""
    for i in range(n):
        y[i * LANES + first : (i + 1) * LANES] = y.dtype.type(0.0)


@inner
def _update_plain(w, g, scale, keep, rate, signs):
    use_wide_vectors()
    one = np.float32(1.0)
    none = np.float32(0.0)
    for i in range(w.size):
        value = g[i] * scale
        if signs:
            value = one if value > none else (-one if value < none else none)
        w[i] = keep * w[i] - rate * value


@inner
def _update_adam(w, g, first, second, scale, keep, rate, root, beta1, beta2):
    use_wide_vectors()
    new1, new2 = np.float32(1.0) - beta1, np.float32(1.0) - beta2
    for i in range(w.size):
        value = g[i] * scale
        first[i] += new1 * (value - first[i])
        second[i] = beta2 * second[i] + new2 * value * value
        w[i] = keep * w[i] - rate * (first[i] / (np.sqrt(second[i]) * root + _ADAM_EPSILON))


@inner
def _combine(out, a, x, b, y):
    use_wide_vectors()
    for i in range(out.size):
        out[i] = a * x[i] + b * y[i]


@inner
def _mix(average, w, share):
    """Add a share of the weights to their average, where there is one."""
    use_wide_vectors()
    for i in range(average.size):
        average[i] += share * (w[i] - average[i])


@inner
def _orthogonalise(x, rows, columns, scratch, square, quartic):
    """Replace x (rows, columns) by its orthogonal part, approximately: Newton-Schulz steps of order five."""
    total = np.float32(0.0)
    for i in range(x.size):
        total += x[i] * x[i]
    scale = np.float32(1.0) / max(np.sqrt(total), _MUON_EPSILON)
    for i in range(x.size):
        x[i] *= scale
    c = columns
    for _ in range(MUON_ITERATIONS):
        product(x, 0, 1, c, x, 0, c, square, 0, c, c, c, rows, False)
        product(square, 0, c, 1, square, 0, c, quartic, 0, c, c, c, c, False)
        _combine(quartic, _B, square, _C, quartic)
        product(x, 0, c, 1, quartic, 0, c, scratch, 0, c, rows, c, c, False)
        _combine(x, _A, x, np.float32(1.0), scratch)


@inner
def _update_muon(w, g, first, scale, keep, rate, beta1, rows, columns, scratch, square, quartic):
    use_wide_vectors()
    new = np.float32(1.0) - beta1
    for i in range(w.size):
        value = g[i] * scale
        first[i] += new * (value - first[i])
        g[i] = value + beta1 * (first[i] - value)
    _orthogonalise(g, rows, columns, scratch, square, quartic)
    _combine(w, keep, w, -rate, g)


@cached_njit(error_model="numpy", nogil=True)
def advance(
    lanes,
    x_rows,
    uniforms,
    teacher,
    exact_teacher,
    weights,
    first,
    second,
    averages,
    coefficients,
    betas,
    n,
    batch,
    loss,
    kind,
    optimizer,
):
    """Train a group of students on consecutive steps, in place.

    lanes : (steps, blocks, m, LANES), inputs as `fill_inputs` gives them
    x_rows : (steps, blocks LANES, columns), the same inputs as rows, padded
    uniforms : (steps, blocks LANES), float64, by which SAMPLED labels are drawn
    teacher : (rows, columns), exact_teacher the same in float64
    weights, first, second : (students, rows columns), the moments if any
    averages : (students, rows columns), averages of the weights, or (students, 0)
    coefficients : (steps, students, 4) kept fraction, step size, 1/sqrt(1 - beta2^t), share of an average
    betas : (students, 2) memories of the moments
    """
    steps, blocks, m, _ = lanes.shape
    columns = x_rows.shape[2]
    rows = teacher.size // columns
    students = weights.shape[0]
    scale = np.float32(1.0 / batch)
    like = np.empty(1, np.float32)
    labels, y = aligned(rows * LANES, like), aligned(rows * LANES, like)
    largest, sums = aligned(LANES, like), aligned(LANES, like)
    gradients = aligned(students * rows * columns, like)
    extra = columns * columns if optimizer == MUON else 0
    scratch = aligned(rows * columns if extra else 0, like)
    square, quartic = aligned(extra, like), aligned(extra, like)
    size = rows * columns
    teacher, exact_teacher = teacher.reshape(size), exact_teacher.reshape(size)
    exact = np.empty(1)
    drawn = kind == SAMPLED
    logits, inputs = aligned(rows * LANES if drawn else 0, exact), aligned(m * LANES if drawn else 0, exact)
    cumulated, thresholds, places = aligned(LANES, exact), aligned(LANES, exact), aligned(LANES, exact)
    for s in range(steps):
        for b in range(blocks):
            xt = lanes[s, b].reshape(m * LANES)
            x = x_rows[s].reshape(x_rows[s].size)
            if drawn:
                inputs[:] = xt
                product(
                    exact_teacher, 0, columns, 1, inputs, 0, LANES, logits, 0, LANES, rows, LANES, m, False
                )
                _one_drawn(logits, n, uniforms[s], b * LANES, cumulated, thresholds, places, labels)
            else:
                product(teacher, 0, columns, 1, xt, 0, LANES, labels, 0, LANES, rows, LANES, m, False)
                if kind == HARD:
                    one_hot(labels, n, largest, sums)
                elif loss == KL:
                    softmax(labels, n, largest, sums)
            for c in range(students):
                w, g = weights[c], gradients[c * size : (c + 1) * size]
                product(w, 0, columns, 1, xt, 0, LANES, y, 0, LANES, rows, LANES, m, False)
                if loss == KL:
                    _softmax_errors(y, labels, n, largest, sums)
                else:
                    differences(y, labels, n)
                if (b + 1) * LANES > batch:
                    clear_lanes(y, n, batch - b * LANES)
                start = b * LANES * columns
                product(y, 0, LANES, 1, x, start, columns, g, 0, columns, rows, columns, LANES, b > 0)
        for c in range(students):
            w, g = weights[c], gradients[c * size : (c + 1) * size]
            keep, rate, root, share = coefficients[s, c]
            if optimizer == ADAM:
                _update_adam(
                    w, g, first[c], second[c], scale, keep, rate, root, betas[c, 0], betas[c, 1]
                )  # fmt: skip
            elif optimizer == MUON:
                _update_muon(
                    w, g, first[c], scale, keep, rate, betas[c, 0], rows, columns, scratch, square, quartic
                )
            else:
                _update_plain(w, g, scale, keep, rate, optimizer == SIGNGD)
            _mix(averages[c], w, share)
