"""Errors of a softmax over sampled classes, sorted by their size: docs/dynamics.md, Eq. 47."""

import math

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.functions import FASTMATH, LOG2_E, log_double
from peakedtheory.kernels.lanes import LANES, exp2, inner

#: Columns of the bins: mass, and mass times e, e z and e w.
MASS, ERROR, ALONG, ACROSS = range(4)
BIN_COLUMNS = 4
#: Powers of two below this are as good as zero.
_LEAST = -900.0


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
            total[j] += multiplicity[k] * p[k, j]
    for j in range(LANES):
        total[j] = 1.0 / total[j]
    for k in range(z.shape[0]):
        for j in range(LANES):
            p[k, j] *= total[j]


@inner
def _errors(highest, z, w, d, rho, beta_star, multiplicity, q, error):
    """Errors e = p - q of a block of draws; q is scratch."""
    _softmax(highest, z, w, d, rho, multiplicity, error)
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
            error[0, j] -= multiplicity[k] * error[k, j]


@cached_njit(error_model="numpy", fastmath=FASTMATH, nogil=True)
def fill_error_bins(weight, highest, z, w, multiplicity, d, rho, beta_star, n, floor, errors, bins):
    """Sort e = p - q of all draws and classes into bins of ln e²; return where these begin and their width.

    weight and highest (blocks, LANES) hold each draw's weight and its highest z, which belongs to the label
    if β* is infinite; z, w and errors (blocks, classes, LANES) have classes of a `multiplicity`, the first
    of z unused. The sums count e z and e w from the means of z and w over all classes.
    """
    blocks, classes, _ = z.shape
    q = np.empty((classes, LANES))
    low, high = np.full(LANES, math.inf), np.full(LANES, -math.inf)
    total, mean_z, mean_w = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for b in range(blocks):
        error = errors[b]
        _errors(highest[b], z[b], w[b], d, rho, beta_star, multiplicity, q, error)
        for k in range(classes):
            energies = z[b, k] if k > 0 else highest[b]
            for j in range(LANES):
                square = max(error[k, j] * error[k, j], floor)
                low[j], high[j] = min(low[j], square), max(high[j], square)
                mass = weight[b, j] * multiplicity[k]
                total[j] += mass
                mean_z[j] += mass * energies[j]
                mean_w[j] += mass * w[b, k, j]
    center_z, center_w = mean_z.sum() / total.sum(), mean_w.sum() / total.sum()
    least = math.log(low.min())
    width = (math.log(high.max()) + 1e-9 - least) / bins.shape[0]
    cell = np.empty(LANES)
    bins[:] = 0.0
    for b in range(blocks):
        for k in range(classes):
            energies = z[b, k] if k > 0 else highest[b]
            share = multiplicity[k] / (n * blocks * LANES)
            for j in range(LANES):
                error = errors[b, k, j]
                cell[j] = (log_double(max(error * error, floor)) - least) / width
            for j in range(LANES):
                into = bins[min(max(int(cell[j]), 0), bins.shape[0] - 1)]
                mass = weight[b, j] * share
                error = mass * errors[b, k, j]
                into[MASS] += mass
                into[ERROR] += error
                into[ALONG] += error * (energies[j] - center_z)
                into[ACROSS] += error * (w[b, k, j] - center_w)
    return least, width
