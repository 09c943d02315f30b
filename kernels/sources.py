"""Energies that are not a function of a normal deviate: from a compiled function, or from an array.

Both fill an array of x = -ε, sample by sample, which `sample_moments` then takes as given. Energy i of
a sample is a fixed function of (key, stream, sample, i): uniforms 2b and 2b+1 come from block b.
"""

import numpy as np
from numba import njit

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.lanes import inner
from peakedtheory.kernels.random import uniform_pair


@inner
def _fill_uniforms(key, stream, sample, uniforms):
    n = uniforms.size
    for j in range(0, n, 2):
        u, v = uniform_pair(key, stream, sample, np.uint64(j // 2))
        uniforms[j] = u
        if j + 1 < n:
            uniforms[j + 1] = v


@cached_njit(nogil=True, error_model="numpy")
def resample(key, stream, first, start, stop, energies, x):
    """Fill rows start .. stop - 1 of x (count, n), float32 or float64, with minus energies from an array.

    They are drawn with replacement; row s belongs to sample first + s.

    The index is the integer part of a uniform of 52 bits times the array's size: the probabilities of
    different entries differ by a relative size / 2^52 at most.
    """
    size = energies.size
    uniforms = np.empty(x.shape[1])
    for s in range(start, stop):
        _fill_uniforms(key, stream, first + np.uint64(s), uniforms)
        for j in range(uniforms.size):
            x[s, j] = -energies[int(uniforms[j] * size)]


def make_sampler(energy):
    """Compile a kernel `fill(key, stream, first, start, stop, x)` for energies ε = energy(u), 0 < u < 1.

    Parameters
    ----------
    energy : Numba dispatcher
        A function of one float64, in the open interval (0, 1), that returns one float64, compiled
        with `numba.njit`; for instance an inverse distribution function.

    Returns
    -------
    fill : callable
        Fills rows start .. stop - 1 of x (count, n), float32 or float64, with minus the energies of samples
        first + start, first + start + 1, ...
        The kernel is compiled on its first call and not cached on disk.
    """

    @njit(nogil=True, error_model="numpy")
    def fill(key, stream, first, start, stop, x):
        uniforms = np.empty(x.shape[1])
        for s in range(start, stop):
            _fill_uniforms(key, stream, first + np.uint64(s), uniforms)
            for j in range(uniforms.size):
                x[s, j] = -energy(uniforms[j])

    return fill
