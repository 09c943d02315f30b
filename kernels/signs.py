"""Mean signs of a mini-batch gradient, from a softmax over sampled classes: docs/dynamics.md, Eq. 47."""

import math

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH, LOG2_E, log_double
from peakedtheory.kernels.lanes import LANES, exp2, inner

#: Bins of ln e², of which there are _BINS, narrow at the largest and wider by a square law below.
_BINS = 240
#: Columns of the bins: mass, mass times e z and e w, and one that makes a whole vector of them, which is a
#: quarter faster. Each bin stands in copies, so that sums do not wait.
_MASS, _ALONG, _ACROSS = range(3)
_COLUMNS, _COPIES = 4, 4
#: Squared errors below this are as good as zero; so are powers of two.
_FAINTEST, _LEAST = 1e-260, -900.0
#: Step of the integral over t, by the same law, and how far it goes beyond what it resolves, in ln t.
_STEP, _BEYOND = 0.05, 12.0


@inner
def _softmax(highest, z, w, d, rho, multiplicity, p):
    """Fill p (classes, LANES) from the logits d z + ρ w, each lane a draw; the highest z stands by itself."""
    top, total = np.empty(LANES), np.zeros(LANES)
    for j in range(LANES):
        p[0, j] = top[j] = d * highest[j] + rho * w[0, j]
    for k in range(1, z.shape[0]):
        for j in range(LANES):
            p[k, j] = d * z[k, j] + rho * w[k, j]
            top[j] = max(top[j], p[k, j])
    for k in range(z.shape[0]):
        for j in range(LANES):
            p[k, j] = exp2(max((p[k, j] - top[j]) * LOG2_E, _LEAST))
            total[j] += multiplicity[k, j] * p[k, j]
    for j in range(LANES):
        total[j] = 1.0 / total[j]
    for k in range(z.shape[0]):
        for j in range(LANES):
            p[k, j] *= total[j]


@inner
def _fill_errors(highest, z, w, d, rho, beta_star, multiplicity, q, error, share):
    """Fill in the errors e = p - q of a block of draws, and how many classes share each; q is scratch."""
    _softmax(highest, z, w, d, rho, multiplicity, error)
    share[:] = multiplicity
    if math.isfinite(beta_star):
        _softmax(highest, z, w, beta_star, 0.0, multiplicity, q)
        for k in range(z.shape[0]):
            for j in range(LANES):
                error[k, j] -= q[k, j]
    # The highest class is the label, or nearly: no digits are lost where both probabilities are near one.
    for j in range(LANES):
        error[0, j] = 0.0
    for k in range(1, z.shape[0]):
        for j in range(LANES):
            error[0, j] -= multiplicity[k, j] * error[k, j]


@inner
def _fill_drawn_errors(highest, z, w, d, rho, beta_star, multiplicity, q, error, share):
    """Fill in the errors where the label is drawn: p - 1 for the share q of each class, p for the rest.

    Both halves of `error` and `share` list all classes.
    """
    classes = z.shape[0]
    drawn, passed = error[:classes], error[classes:]
    _softmax(highest, z, w, d, rho, multiplicity, passed)
    _softmax(highest, z, w, beta_star, 0.0, multiplicity, q)
    for j in range(LANES):
        drawn[0, j] = share[classes, j] = 0.0
    for k in range(1, classes):
        for j in range(LANES):
            drawn[k, j] = passed[k, j] - 1.0
            share[k, j] = multiplicity[k, j] * q[k, j]
            share[classes + k, j] = multiplicity[k, j] * (1.0 - q[k, j])
            # No digits are lost where the highest class is nearly certain.
            drawn[0, j] -= multiplicity[k, j] * passed[k, j]
            share[classes, j] += multiplicity[k, j] * q[k, j]
    for j in range(LANES):
        share[0, j] = q[0, j]


@inner
def _fill_bins(weight, highest, z, w, shares, errors, bins):
    """Sort the errors of all draws by ln e²; return the largest of these and the bins' width.

    The sums count e z and e w from the means of z and w over all classes.
    """
    blocks, classes, _ = z.shape
    entries = errors.shape[1]
    low, high = np.full(LANES, math.inf), np.full(LANES, _FAINTEST)
    total, mean_z, mean_w = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for b in range(blocks):
        for k in range(entries):
            i = k % classes
            energies = z[b, i] if i > 0 else highest[b]
            for j in range(LANES):
                square = max(errors[b, k, j] * errors[b, k, j], _FAINTEST)
                low[j], high[j] = min(low[j], square), max(high[j], square)
                mass = weight[b, j] * shares[b, k, j]
                total[j] += mass
                mean_z[j] += mass * energies[j]
                mean_w[j] += mass * w[b, i, j]
    center_z, center_w = mean_z.sum() / total.sum(), mean_w.sum() / total.sum()
    top = math.log(high.max())
    width = (math.sqrt(top - math.log(low.min()) + 1.0) - 1.0) / _BINS + 1e-12
    cell, per_width, share = np.empty(LANES), 1.0 / width, 1.0 / (blocks * LANES)
    bins[:] = 0.0
    for b in range(blocks):
        for k in range(entries):
            i = k % classes
            energies = z[b, i] if i > 0 else highest[b]
            for j in range(LANES):
                square = max(errors[b, k, j] * errors[b, k, j], _FAINTEST)
                cell[j] = (math.sqrt(max(top - log_double(square), 0.0) + 1.0) - 1.0) * per_width
            for j in range(LANES):
                into = bins[min(int(cell[j]), _BINS - 1), j % _COPIES]
                mass = weight[b, j] * shares[b, k, j] * share
                error = mass * errors[b, k, j]
                into[_MASS] += mass
                into[_ALONG] += error * (energies[j] - center_z)
                into[_ACROSS] += error * (w[b, i, j] - center_w)
    return top, width


@cached_njit(error_model="numpy", fastmath=FASTMATH, nogil=True)
def mean_signs(weight, highest, z, w, multiplicity, d, rho, beta_star, n, batch, sampled):
    """Return ⟨Σ e z/√(Σ e²)⟩ and ⟨Σ e w/√(Σ e²)⟩ of one row of n over a batch.

    weight and highest (blocks, LANES) hold each draw's weight and its highest z, which belongs to the label
    if β* is infinite; z, w and multiplicity (blocks, classes, LANES) are its classes, the first of z unused.
    `sampled` labels are draws from the teacher's probabilities at a finite β*.
    """
    blocks, classes, _ = z.shape
    q, errors = np.empty((classes, LANES)), np.empty((blocks, 2 * classes if sampled else classes, LANES))
    shares = np.empty(errors.shape)
    for b in range(blocks):
        if sampled:
            _fill_drawn_errors(
                highest[b], z[b], w[b], d, rho, beta_star, multiplicity[b], q, errors[b], shares[b]
            )
        else:
            _fill_errors(highest[b], z[b], w[b], d, rho, beta_star, multiplicity[b], q, errors[b], shares[b])
    bins = np.empty((_BINS, _COPIES, _COLUMNS))
    top, width = _fill_bins(weight, highest, z, w, shares, errors, bins)
    square, rows = np.empty(_BINS), np.zeros((_COLUMNS, _BINS))
    variance = 0.0
    for i in range(_BINS):
        y = 1.0 + width * (i + 0.5)
        square[i] = math.exp(top + 1.0 - y * y)
        for copy in range(_COPIES):
            for column in range(_COLUMNS):
                rows[column, i] += bins[i, copy, column] / n
        variance += rows[_MASS, i] * square[i]
    typical = -math.log(batch * variance)
    first = typical - _BEYOND
    last = max(typical + _BEYOND, 4.0 - math.log(square[_BINS - 1]))
    points = int((math.sqrt(last - first + 1.0) - 1.0) / _STEP) + 1
    all_mass = rows[_MASS].sum()
    left = np.empty(_BINS)
    along = across = 0.0
    for point in range(points):
        y = 1.0 + _STEP * point
        log_t = first + y * y - 1.0
        t = math.exp(log_t) * LOG2_E
        for i in range(_BINS):
            left[i] = exp2(max(-t * square[i], _LEAST))
        mass = one = other = 0.0
        for i in range(_BINS):
            mass += rows[_MASS, i] * left[i]
            one += rows[_ALONG, i] * left[i]
            other += rows[_ACROSS, i] * left[i]
        # From t = 0 to the first point the integrand is as √t; from there on it is a sum over points.
        measure = 2.0 * y * _STEP if point > 0 else 2.0 + y * _STEP
        factor = measure * math.exp(0.5 * log_t - batch * (all_mass - mass))
        along += factor * one
        across += factor * other
    scale = batch / math.sqrt(math.pi)
    return scale * along, scale * across
