"""Kernel functions of v = s - beta * energy that every exact average is built from.

With t = exp(v) the unit-exponential variable of ln Z = ∫ dt/t (exp(-t) - exp(-tZ)), the density of v
is the Gumbel density exp(v - exp(v)); `entropy_kernel` is the integral of its centred first moment.
"""

import numpy as np
import scipy

#: Above this v the factor exp(-exp(v)) is below 1e-19 and the Gumbel kernel has ended.
V_MAX = 3.8

_EIN_TERMS = 17
# Ein(t) = sum_k (-1)^(k+1) t^k / (k k!), highest power first for Horner's rule, one power of t taken out.
_EIN = np.array(
    [(-1) ** (k + 1) / (k * float(np.prod(np.arange(1.0, k + 1)))) for k in range(_EIN_TERMS, 0, -1)]
)


def entropy_kernel(
    v: np.ndarray, t: np.ndarray | None = None, survival: np.ndarray | None = None
) -> np.ndarray:
    """Return W(v) = ∫_{-∞}^v exp(u - exp(u)) (-u - γ) du, positive and of total mass π²/6.

    In closed form W = exp(-t)(v + γ) + E1(t) with t = exp(v). For t < 1 the logarithms of the two terms
    cancel, so Ein(t) + (v + γ) expm1(-t) is summed instead. `t` and `survival` = expm1(-t) may be passed
    where they are known.
    """
    v = np.asarray(v, dtype=float)
    t = np.exp(v) if t is None else t
    survival = np.expm1(-t) if survival is None else survival
    t_small = np.minimum(t, 1.0)
    out = np.full_like(t_small, _EIN[0])
    for coefficient in _EIN[1:]:
        out *= t_small
        out += coefficient
    out *= t_small
    out += (v + np.euler_gamma) * survival
    large = np.nonzero(t > 1.0)
    out[large] = (1.0 + survival[large]) * (v[large] + np.euler_gamma) + scipy.special.exp1(t[large])
    return out
