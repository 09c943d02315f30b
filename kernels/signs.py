"""Errors of a softmax over sampled classes, sorted by their size: docs/dynamics.md, Eq. 47."""

import math

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.lanes import inner

#: Rows of the bins: mass, and mass times e, e z and e w.
_MASS, _ERROR, _ALONG, _ACROSS = range(4)
BIN_ROWS = 4


@inner
def _softmax(z, w, d, rho, multiplicity, p):
    highest = -math.inf
    for k in range(z.size):
        p[k] = d * z[k] + rho * w[k]
        highest = max(highest, p[k])
    total = 0.0
    for k in range(z.size):
        p[k] = math.exp(p[k] - highest)
        total += multiplicity[k] * p[k]
    for k in range(z.size):
        p[k] /= total


@cached_njit(error_model="numpy", nogil=True)
def fill_error_bins(weight, z, w, multiplicity, d, rho, beta_star, n, floor, errors, bins):
    """Sort e = p - q of all draws and classes into bins of ln e²; return where these begin and their width.

    z and w (draws, classes) have classes of a `multiplicity`, the highest z first; its q is one where β* is
    infinite. Draws have a `weight`. The sums count e z and e w from the means of z and w over all classes.
    """
    draws, classes = z.shape
    q = np.empty(classes)
    low, high = math.inf, -math.inf
    total = mean_z = mean_w = 0.0
    for i in range(draws):
        error = errors[i]
        _softmax(z[i], w[i], d, rho, multiplicity, error)
        if math.isfinite(beta_star):
            _softmax(z[i], w[i], beta_star, 0.0, multiplicity, q)
            for k in range(classes):
                error[k] -= q[k]
        # The highest class is the label, or nearly: no digits are lost where both probabilities are near one.
        first = 0.0
        for k in range(1, classes):
            first -= multiplicity[k] * error[k]
        error[0] = first
        for k in range(classes):
            size = max(error[k] * error[k], floor)
            low, high = min(low, size), max(high, size)
            mass = weight[i] * multiplicity[k]
            total += mass
            mean_z += mass * z[i, k]
            mean_w += mass * w[i, k]
    mean_z, mean_w = mean_z / total, mean_w / total
    low, high = math.log(low), math.log(high) + 1e-9
    width = (high - low) / bins.shape[1]
    for row in range(BIN_ROWS):
        for cell in range(bins.shape[1]):
            bins[row, cell] = 0.0
    for i in range(draws):
        for k in range(classes):
            error = errors[i, k]
            cell = int((math.log(max(error * error, floor)) - low) / width)
            cell = min(max(cell, 0), bins.shape[1] - 1)
            mass = weight[i] * multiplicity[k] / (n * draws)
            bins[_MASS, cell] += mass
            bins[_ERROR, cell] += mass * error
            bins[_ALONG, cell] += mass * error * z[i, k]
            bins[_ACROSS, cell] += mass * error * w[i, k]
    for cell in range(bins.shape[1]):
        bins[_ALONG, cell] -= mean_z * bins[_ERROR, cell]
        bins[_ACROSS, cell] -= mean_w * bins[_ERROR, cell]
    return low, width
