"""Kernel functions of v = s - beta * energy that every exact average is built from.

With t = exp(v) the unit-exponential variable of ln Z = ∫ dt/t (exp(-t) - exp(-tZ)), the density of v
is the Gumbel density exp(v - exp(v)); `entropy_kernel` is the integral of its centred first moment.
"""

import numpy as np
from scipy.special import exp1

#: Above this v the factor exp(-exp(v)) is below 1e-19 and the Gumbel kernel has ended.
V_MAX = 3.8

_EIN_TERMS = 20
# Ein(t) = sum_k (-1)^(k+1) t^k / (k k!), highest power first for Horner's rule, one power of t taken out.
_EIN = np.array(
    [(-1) ** (k + 1) / (k * float(np.prod(np.arange(1.0, k + 1)))) for k in range(_EIN_TERMS, 0, -1)]
)


def entropy_kernel(v: np.ndarray) -> np.ndarray:
    """Return W(v) = ∫_{-∞}^v exp(u - exp(u)) (-u - γ) du, positive and of total mass π²/6.

    In closed form W = exp(-t)(v + γ) + E1(t) with t = exp(v). For t < 1 the logarithms of the two terms
    cancel, so Ein(t) + (v + γ) expm1(-t) is summed instead.
    """
    v = np.asarray(v, dtype=float)
    t = np.exp(v)
    t_small = np.minimum(t, 1.0)
    out = t_small * np.polyval(_EIN, t_small) + (v + np.euler_gamma) * np.expm1(-t)
    large = t > 1.0
    if large.any():
        t_large = t[large]
        out[large] = np.exp(-t_large) * (v[large] + np.euler_gamma) + exp1(t_large)
    return out
